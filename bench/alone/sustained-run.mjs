import { atRate, inFlight, until } from '../core/load.mjs';
import { CALLERS, INPUT } from '../core/settings.mjs';
import { flushed, openSystem } from '../systems/taskflow.mjs';

const ENTRIES_PER_TASK = 3;
const MAX_LAG_MS = 5_000;
const SAMPLE_MS = 100;
/** In a short trial: a lag that grows is seen before it is that large. */
const TRIAL_LAG_MS = 2_000;
const GROWTH = 1.5;
const SEARCH_STEPS = 3;
const STEP_BACK = 0.93;
const ATTEMPTS = 5;

/**
 * The highest offered rate at which the database stays less than 5 s behind. First flat out, to see about how fast the database
 * is fed; then upwards by half and by halving, with short trials; then for the whole time, lower by 7 % until one trial holds.
 */
export async function run({ trialMs, sustainMs }) {
  const { system, close } = await openSystem({ noop: async () => undefined });
  const submit = () => system.submit('noop', { input: INPUT });
  try {
    await inFlight(10_000, CALLERS, submit);
    await flushed(system);
    const flatOut = await flushRateFlatOut(system, submit, trialMs);
    await flushed(system);
    const isHeld = async (rate) => (await trial(system, submit, rate, trialMs, TRIAL_LAG_MS)).holds;
    let [low, high] = [flatOut / 2, flatOut];
    while (await isHeld(high)) [low, high] = [high, high * GROWTH];
    for (let step = 0; step < SEARCH_STEPS; step++) {
      const rate = (low + high) / 2;
      if (await isHeld(rate)) low = rate;
      else high = rate;
    }
    for (let [rate, attempt] = [low, 1]; attempt <= ATTEMPTS; rate *= STEP_BACK, attempt++) {
      const { holds, maxLagMs, madePerSecond } = await trial(system, submit, rate, sustainMs, MAX_LAG_MS);
      if (holds)
        return {
          perSecond: madePerSecond,
          maxLagMs,
          sustainedSeconds: sustainMs / 1000,
          attempts: attempt,
          flatOutFlushedPerSecond: flatOut,
        };
    }
    throw new Error(`No rate held for ${sustainMs / 1000} s.`);
  } finally {
    await close();
  }
}

async function flushRateFlatOut(system, submit, durationMs) {
  const end = performance.now() + durationMs;
  const from = { at: performance.now(), seq: system.getStats().flush.appliedSeq };
  await Promise.all(
    Array.from({ length: CALLERS }, async () => {
      while (performance.now() < end) await submit();
    }),
  );
  return ((system.getStats().flush.appliedSeq - from.seq) / ENTRIES_PER_TASK / (performance.now() - from.at)) * 1000;
}

/** Ends early once the database is too far behind; what was submitted until then is still flushed. */
async function trial(system, submit, perSecond, durationMs, maxLagMs) {
  let worst = 0;
  const startedAt = performance.now();
  const sampler = setInterval(() => (worst = Math.max(worst, system.getStats().flush.lagMs)), SAMPLE_MS);
  let made = 0;
  const slice = Math.min(durationMs, 1_000);
  while (performance.now() - startedAt < durationMs && worst < maxLagMs) made += await atRate(perSecond, slice, submit);
  const elapsedMs = performance.now() - startedAt;
  await until(() => system.getStats().tasks.running + system.getStats().tasks.queued === 0, 'Not every task ended');
  await flushed(system);
  clearInterval(sampler);
  // The offered rate itself must have been kept: submits that wait are load that was not taken.
  const madePerSecond = (made / elapsedMs) * 1000;
  return { holds: worst < maxLagMs && madePerSecond > 0.97 * perSecond, maxLagMs: worst, madePerSecond };
}
