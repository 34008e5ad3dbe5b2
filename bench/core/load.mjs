import { setTimeout as pause } from 'node:timers/promises';

/** Calls `work` `count` times, `callers` of them at a time. */
export async function inFlight(count, callers, work) {
  let started = 0;
  const caller = async () => {
    while (started < count) await work(started++);
  };
  await Promise.all(Array.from({ length: Math.min(callers, count) }, caller));
}

/**
 * Calls `work(dueAt)` at a fixed rate, whether or not earlier calls have ended, and waits for all of them. What was due while
 * the event loop was busy is made up for, and measured from when it was due.
 */
export async function atRate(perSecond, durationMs, work) {
  const startedAt = performance.now();
  let made = 0;
  let ended = 0;
  let failure;
  const call = async (dueAt) => {
    try {
      await work(dueAt);
    } catch (error) {
      failure ??= error;
    }
    ended++;
  };
  for (;;) {
    const elapsed = Math.min(performance.now() - startedAt, durationMs);
    for (const due = (elapsed / 1000) * perSecond; made < due; made++) void call(startedAt + (made / perSecond) * 1000);
    if (elapsed >= durationMs) break;
    await pause(1);
  }
  await until(() => ended === made, 'Not every call ended', 120_000, 1);
  if (failure !== undefined) throw failure;
  return made;
}

/** @throws Error when it does not become true in time. */
export async function until(isTrue, what, patienceMs = 120_000, pauseMs = 5) {
  const end = performance.now() + patienceMs;
  while (!(await isTrue())) {
    if (performance.now() > end) throw new Error(`${what}: not after ${patienceMs / 1000} s.`);
    await pause(pauseMs);
  }
}

/** What is reachable, in bytes: a collection only gives back what finalizers let go of in an earlier one. Needs --expose-gc. */
export async function memoryAfterCollection() {
  for (let i = 0; i < 4; i++) {
    globalThis.gc();
    await pause(25);
  }
  const { heapUsed, external, rss } = process.memoryUsage();
  return { reachable: heapUsed + external, rss };
}

/** Starts a measurement; the call that it gives tells wall-clock rate and this process's own processor time, which a busy machine does not stretch. */
export function stopwatch() {
  const cpu = process.cpuUsage();
  const startedAt = performance.now();
  return (tasks) => {
    const elapsedMs = performance.now() - startedAt;
    const { user, system } = process.cpuUsage(cpu);
    return { perSecond: (tasks / elapsedMs) * 1000, cpuMicros: (user + system) / tasks };
  };
}
