import type { Clock } from '../contracts/clock.interface.js';

/** Waits for work to end, however it ends, but no longer than that. Keeps the process alive meanwhile. */
export function settleWithin(clock: Clock, timeoutMs: number, work: Promise<unknown>): Promise<void> {
  return new Promise((resolve) => {
    const timer = clock.after(timeoutMs, resolve, true);
    const done = (): void => {
      timer.cancel();
      resolve();
    };
    work.then(done, done);
  });
}
