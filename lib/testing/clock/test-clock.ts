import type { Clock, Timer } from '../../contracts/clock.interface.js';
import { every, realMs, realNow, turn } from '../real-time.js';
import { ManualClock } from './manual-clock.js';

const FLOW_STEP_MS = 2;

/**
 * The clock of an application under test. What is to be called back after no time at all is called back in the next turn of the event
 * loop: it waits for others, not for time.
 */
export class TestClock extends ManualClock {
  private flows = 0;

  constructor() {
    super(realNow());
  }

  override after(delayMs: number, callback: () => void): Timer {
    if (delayMs > 0) return super.after(delayMs, callback);
    let isCancelled = false;
    void turn().then(() => isCancelled || callback());
    return { cancel: () => void (isCancelled = true) };
  }

  /** @param settled waited for before, after and between timers. */
  advance(ms: number, settled: () => Promise<void>): Promise<void> {
    return this.moveSlowly(ms, settled);
  }

  /** Has time pass as it does outside, while `work` is under way: for what waits for itself, such as a start or a stop. */
  async flowing<T>(work: () => Promise<T>): Promise<T> {
    this.flows += 1;
    let last = realMs();
    const stop = every(FLOW_STEP_MS, () => {
      // Whole milliseconds, as a wall clock shows them; two that flow at once must not move it twice as fast.
      const ms = Math.floor((realMs() - last) / this.flows);
      last += ms * this.flows;
      this.move(ms);
    });
    try {
      return await work();
    } finally {
      stop();
      this.flows -= 1;
    }
  }
}

/** The clock as one life of a process sees it: when that life is over, nothing calls back to it any more. */
export class LifeClock implements Clock {
  private readonly timers = new Set<Timer>();
  private isOver = false;

  constructor(private readonly clock: Clock) {}

  now(): number {
    return this.clock.now();
  }

  monotonic(): number {
    return this.clock.monotonic();
  }

  after(delayMs: number, callback: () => void): Timer {
    if (this.isOver) return { cancel: () => undefined };
    const timer = this.clock.after(delayMs, () => {
      this.timers.delete(timer);
      callback();
    });
    this.timers.add(timer);
    return {
      cancel: () => {
        this.timers.delete(timer);
        timer.cancel();
      },
    };
  }

  end(): void {
    this.isOver = true;
    for (const timer of this.timers) timer.cancel();
    this.timers.clear();
  }
}
