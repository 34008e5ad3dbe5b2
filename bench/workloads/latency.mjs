import { atRate, inFlight } from '../core/load.mjs';
import { INPUT } from '../core/settings.mjs';
import { quantile } from '../core/statistics.mjs';
import { throughput } from './end-to-end.mjs';

/** W3: from submit until the submitter has the result, one task at a time; and at half of the rate that the same process reached flat out. */
export async function run({ system, tasks, warmUp, halfLoadMs }) {
  const opened = await (await import(system)).open({ runs: true, isLatency: true });
  const once = async () => opened.result(await opened.submit(INPUT));
  try {
    await inFlight(Math.ceil(warmUp / 10), 1, once);
    const latencies = [];
    await inFlight(tasks, 1, async () => {
      const from = performance.now();
      await once();
      latencies.push(performance.now() - from);
    });
    const figures = { p50Ms: quantile(latencies, 0.5), p99Ms: quantile(latencies, 0.99) };
    if (halfLoadMs === 0) return figures;
    await throughput(opened, warmUp);
    const halfLoadPerSecond = (await throughput(opened, warmUp)).perSecond / 2;
    const loaded = [];
    await atRate(halfLoadPerSecond, halfLoadMs, async (dueAt) => {
      await once();
      loaded.push(performance.now() - dueAt);
    });
    return { ...figures, halfLoadPerSecond, halfLoadP50Ms: quantile(loaded, 0.5), halfLoadP99Ms: quantile(loaded, 0.99) };
  } finally {
    await opened.close();
  }
}
