import type { EventLogEntry } from '../../../../contracts/task-repository.interface.js';

/** Name of the `custom` event that stands where a repair of the log lost an entry. */
const LOST_EVENT = 'taskflow.entry-lost';

/** How far a custom repository was given a task. */
export interface GivenTask {
  lastSeq: number;
  fence: number;
}

/**
 * What a custom repository is given in place of entries that a repair of the log lost: it is never given a gap, since it could only refuse
 * what is behind one, and with it everything of everybody. Empty where nothing is lost.
 */
export function inPlaceOfLost(given: GivenTask, next: EventLogEntry): EventLogEntry[] {
  const places: EventLogEntry[] = [];
  const taskSeq = next.taskSeq ?? 0;
  for (let seq = given.lastSeq + 1; seq < taskSeq; seq++) {
    // A run that nothing is known of was begun by one of them: the last one, whatever they were.
    const isStart = seq === taskSeq - 1 && next.type !== 'start' && next.fence > given.fence;
    const told = isStart ? { type: 'start' as const, data: {} } : { type: 'custom' as const, data: { eventName: LOST_EVENT } };
    places.push({ ...next, ...told, taskSeq: seq, fence: isStart ? next.fence : given.fence });
  }
  return places;
}
