import type { Clock } from '../../../contracts/clock.interface.js';

/**
 * The database's clock as this node knows it: what the last answer said, and the monotonic time since. All times in rows are of that clock,
 * so that nodes whose clocks differ agree on them.
 */
export class DatabaseTime {
  private told: { readonly now: number; readonly at: number } | undefined;

  constructor(private readonly clock: Clock) {}

  /** @param now epoch ms, as an answer that just came says. */
  learn(now: number): void {
    this.told = { now, at: this.clock.monotonic() };
  }

  /** Epoch ms. Before the first answer, this machine's clock. */
  now(): number {
    return this.told === undefined ? this.clock.now() : Math.round(this.told.now + this.clock.monotonic() - this.told.at);
  }
}
