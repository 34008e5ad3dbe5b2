import { inFlight, until } from '../core/load.mjs';
import { CALLERS, CONCURRENCY, INPUT } from '../core/settings.mjs';
import { quantile } from '../core/statistics.mjs';
import { openSystem } from '../systems/taskflow.mjs';

/**
 * One user has many tasks queued; 100 others then submit 10 each, all at once. What first-in-first-out would give them is read
 * from the same run: the n-th task to come starts when the n-th start happened.
 */
export async function run({ many, users, each }) {
  let release;
  const held = new Promise((resolve) => (release = resolve));
  const starts = [];
  const noop = async (input) => {
    starts.push({ small: input.small, at: performance.now() });
  };
  const { system, close } = await openSystem({ hold: () => held, noop });
  try {
    for (let i = 0; i < CONCURRENCY; i++) await system.submit('hold', { input: null });
    await inFlight(many, CALLERS, () => system.submit('noop', { input: { ...INPUT, small: -1 }, userId: 'large' }));
    const submittedAt = [];
    const small = users * each;
    // Runs begin as they come: whoever waited behind the large user would wait from here on.
    release();
    const from = performance.now();
    await inFlight(small, CALLERS, async (number) => {
      submittedAt[number] = performance.now();
      await system.submit('noop', { input: { ...INPUT, small: number }, userId: `small-${number % users}` });
    });
    await until(() => starts.length === many + small, 'Not every task started', 300_000, 20);
    const waits = starts.filter((start) => start.small >= 0).map((start) => start.at - submittedAt[start.small]);
    const fifoWaits = submittedAt.map((at, number) => starts[many + number].at - at);
    const p99Ms = quantile(waits, 0.99);
    const fifoP99Ms = quantile(fifoWaits, 0.99);
    return {
      p99Ms,
      fifoP99Ms,
      share: p99Ms / fifoP99Ms,
      maxMs: Math.max(...waits),
      perSecond: ((many + small) / (starts.at(-1).at - from)) * 1000,
    };
  } finally {
    await close();
  }
}
