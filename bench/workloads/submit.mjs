import { inFlight, stopwatch } from '../core/load.mjs';
import { CALLERS, INPUT } from '../core/settings.mjs';
import { quantile } from '../core/statistics.mjs';

/** W1: submits, each acknowledged as the system promises it. Nothing runs here: the tasks queue up. */
export async function run({ system, tasks, warmUp }) {
  const { submit, close } = await (await import(system)).open({ runs: false });
  try {
    await inFlight(warmUp, CALLERS, () => submit(INPUT));
    const latencies = new Float64Array(tasks);
    const stop = stopwatch();
    await inFlight(tasks, CALLERS, async (number) => {
      const from = performance.now();
      await submit(INPUT);
      latencies[number] = performance.now() - from;
    });
    return { ...stop(tasks), p50Ms: quantile(latencies, 0.5), p99Ms: quantile(latencies, 0.99) };
  } finally {
    await close();
  }
}
