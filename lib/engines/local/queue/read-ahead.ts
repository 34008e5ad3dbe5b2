import type { LaneRing } from './lane-ring.js';
import type { LaneTable } from './lane-table.js';
import type { Lane } from './lane.js';

/** Lanes looked at for each slot that is asked for: more would be a scan. */
const LOOKS_PER_SLOT = 4;

/** The slots that are likely to be claimed next, best effort: the first of each lane in turn, then the second ones, and so on. */
export function nextOf(ring: LaneRing, table: LaneTable, limit: number): number[] {
  const lanes = new Set<Lane>();
  for (let lane = ring.first; lane !== null && lanes.size < limit; lane = lane.after) lanes.add(lane);
  // Lanes that stand at a limit come back with the next release.
  for (const lane of table.some(limit - lanes.size, limit * LOOKS_PER_SLOT)) lanes.add(lane);
  const slots: number[] = [];
  const sources = [...lanes].map((lane) => lane.upcoming());
  while (sources.length > 0 && slots.length < limit) {
    for (let at = 0; at < sources.length && slots.length < limit;) {
      const next = sources[at]!.next();
      if (next.done === true) sources.splice(at, 1);
      else {
        slots.push(next.value);
        at += 1;
      }
    }
  }
  return slots;
}
