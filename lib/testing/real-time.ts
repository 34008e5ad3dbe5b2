// From the module, not from `globalThis`: the fake timers of a test framework replace the global ones.
import { clearInterval, clearTimeout, setImmediate, setInterval, setTimeout } from 'node:timers';

/** What passes outside of the test. Unit: ms. */
const { now } = Date;
const realMonotonic = performance.now.bind(performance);

export const realNow = (): number => now();
export const realMs = (): number => realMonotonic();

/** One turn of the event loop: whatever waits for settled promises, and only for them, happens. */
export const turn = (): Promise<void> => new Promise((resolve) => void setImmediate(resolve));

export const pause = (ms: number): Promise<void> => new Promise((resolve) => void setTimeout(resolve, ms));

/** Calls again and again, until the answer is called. */
export function every(ms: number, callback: () => void): () => void {
  const timer = setInterval(callback, ms);
  return () => clearInterval(timer);
}

/** Rejects with what `late` gives when the promise has not settled after that much time. */
export function withinReal<T>(promise: Promise<T>, ms: number, late: () => Error): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(late()), ms);
    void promise.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}
