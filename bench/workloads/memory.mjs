import { inFlight, memoryAfterCollection } from '../core/load.mjs';
import { CALLERS, INPUT } from '../core/settings.mjs';

const WARM_UP = 2_000;

/** W5: what queued tasks hold in the process that submitted them, once they are where they stay. */
export async function run({ system, tasks }) {
  const { submit, submitMany, settled, queued, close } = await (await import(system)).openHeld();
  try {
    await inFlight(WARM_UP, CALLERS, () => submit(INPUT));
    await settled();
    const before = await memoryAfterCollection();
    const queuedBefore = await queued();
    if (submitMany === undefined) await inFlight(tasks, CALLERS, () => submit(INPUT));
    else await submitMany(tasks, INPUT);
    const unsettled = await memoryAfterCollection();
    await settled();
    const after = await memoryAfterCollection();
    const more = (await queued()) - queuedBefore;
    if (more !== tasks) throw new Error(`${more} tasks are queued, not ${tasks}.`);
    return {
      heapBytes: (after.reachable - before.reachable) / tasks,
      unsettledHeapBytes: (unsettled.reachable - before.reachable) / tasks,
      residentBytes: (after.rss - before.rss) / tasks,
    };
  } finally {
    await close();
  }
}
