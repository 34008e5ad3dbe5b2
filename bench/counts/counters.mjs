import { createHook } from 'node:async_hooks';
import { PerformanceObserver } from 'node:perf_hooks';
import { setTimeout as pause } from 'node:timers/promises';
import { disk } from './counted-disk.mjs';

/** Of asynchronous resources, by their type in async_hooks. */
const COUNTED = { PROMISE: 'promises', Timeout: 'timers' };

let collections = 0;
new PerformanceObserver((list) => (collections += list.getEntries().length)).observe({ entryTypes: ['gc'] });

/** Bytes that `work` allocates. The heap is so large that nothing is collected meanwhile: what was allocated is what it grew by. */
export async function allocatedBy(work) {
  await pause(10);
  const already = collections;
  const before = process.memoryUsage();
  await work();
  const after = process.memoryUsage();
  await pause(10);
  if (collections !== already) throw new Error('Memory was collected while allocations were counted: the semi-space is too small.');
  return after.heapUsed - before.heapUsed;
}

/** What `work` creates and writes. Counted apart from allocations, since counting allocates. */
export async function createdBy(work) {
  const created = { promises: 0, timers: 0 };
  const before = { ...disk };
  const hook = createHook({
    init: (_id, type) => {
      const name = COUNTED[type];
      if (name !== undefined) created[name]++;
    },
  }).enable();
  await work();
  hook.disable();
  return { ...created, logBytes: disk.bytes - before.bytes, writes: disk.writes - before.writes, syncs: disk.syncs - before.syncs };
}
