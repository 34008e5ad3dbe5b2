import { monitorEventLoopDelay } from 'node:perf_hooks';
import { inFlight, stopwatch, until } from '../core/load.mjs';
import { CALLERS, INPUT } from '../core/settings.mjs';

const NS_PER_MS = 1e6;

/** No-op tasks, 256 submits in flight, until the last completion is recorded. */
export async function throughput({ submit, completed }, tasks) {
  const already = await completed();
  const stop = stopwatch();
  await inFlight(tasks, CALLERS, () => submit(INPUT));
  await until(async () => (await completed()) >= already + tasks, 'Not every task completed', 180_000, 1);
  return stop(tasks);
}

/** W2: from submit to the recorded completion, 50 runs at a time. */
export async function run({ system, tasks, warmUp }) {
  const opened = await (await import(system)).open({ runs: true });
  const delay = monitorEventLoopDelay({ resolution: 1 });
  try {
    await throughput(opened, warmUp);
    delay.enable();
    const rate = await throughput(opened, tasks);
    delay.disable();
    return { ...rate, delayP99Ms: delay.percentile(99) / NS_PER_MS };
  } finally {
    await opened.close();
  }
}
