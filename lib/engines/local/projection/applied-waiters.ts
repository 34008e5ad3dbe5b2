import type { Clock, Timer } from '../../../contracts/clock.interface.js';

interface Waiter {
  readonly seq: number;
  readonly settle: (isApplied: boolean) => void;
  readonly timer: Timer;
}

/** Those who wait until the database holds an entry. */
export class AppliedWaiters {
  private waiting: Waiter[] = [];

  constructor(private readonly clock: Clock) {}

  /** Resolves to true once `seq` is applied; to false after `withinMs`, or when flushing ends. */
  reached(seq: number, withinMs: number): Promise<boolean> {
    return new Promise((resolve) => {
      const timer = this.clock.after(withinMs, () => this.settle((waiter) => waiter.timer === timer, false), true);
      this.waiting.push({ seq, settle: resolve, timer });
    });
  }

  applied(seq: number): void {
    if (this.waiting.length > 0) this.settle((waiter) => waiter.seq <= seq, true);
  }

  giveUp(): void {
    this.settle(() => true, false);
  }

  private settle(match: (waiter: Waiter) => boolean, isApplied: boolean): void {
    const settled = this.waiting.filter(match);
    if (settled.length === 0) return;
    this.waiting = this.waiting.filter((waiter) => !settled.includes(waiter));
    for (const waiter of settled) {
      waiter.timer.cancel();
      waiter.settle(isApplied);
    }
  }
}
