import type { Clock } from '../../../contracts/clock.interface.js';

/** Whether another event loop turns: it shows itself now and then, and its silence is timed here. */
export class PulseWatch {
  private since: number;

  constructor(
    private readonly clock: Clock,
    private readonly maxBlockedMs: number,
  ) {
    this.since = clock.monotonic();
  }

  pulsed(): void {
    this.since = this.clock.monotonic();
  }

  /** True once it has not shown itself for longer than the bound. */
  get isBlocked(): boolean {
    return this.clock.monotonic() - this.since > this.maxBlockedMs;
  }
}
