import type { Clock } from '../contracts/clock.interface.js';

/** Waits until nothing is under way. */
export class IdleWatch {
  private waiters: (() => void)[] = [];

  constructor(
    private readonly clock: Clock,
    private readonly isIdle: () => boolean,
  ) {}

  /** Something ended. */
  check(): void {
    if (this.waiters.length === 0 || !this.isIdle()) return;
    const { waiters } = this;
    this.waiters = [];
    for (const resolve of waiters) resolve();
  }

  /** True when nothing is under way before the time is over. Unit: ms. */
  within(timeoutMs: number): Promise<boolean> {
    if (this.isIdle()) return Promise.resolve(true);
    if (timeoutMs <= 0) return Promise.resolve(false);
    return new Promise((resolve) => {
      const timer = this.clock.after(timeoutMs, () => resolve(false), true);
      this.waiters.push(() => {
        timer.cancel();
        resolve(true);
      });
    });
  }
}
