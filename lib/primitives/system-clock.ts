import type { Clock, Timer } from '../contracts/clock.interface.js';
import { timeoutOutsideRequests } from './async-context.js';

/** Node answers a longer delay with 1 ms, so longer ones are cut; owners ask again. */
const LONGEST_DELAY_MS = 2 ** 31 - 1;

class SystemTimer implements Timer {
  constructor(private readonly handle: NodeJS.Timeout) {}
  cancel(): void {
    clearTimeout(this.handle);
  }
}

/** The clock of the machine. */
export class SystemClock implements Clock {
  now(): number {
    return Date.now();
  }
  monotonic(): number {
    return performance.now();
  }
  after(delayMs: number, callback: () => void, ref = false): Timer {
    const handle = timeoutOutsideRequests(callback, Math.min(Math.max(delayMs, 0), LONGEST_DELAY_MS));
    if (!ref) handle.unref();
    return new SystemTimer(handle);
  }
}
