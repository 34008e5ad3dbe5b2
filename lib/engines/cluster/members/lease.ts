import type { Clock } from '../../../contracts/clock.interface.js';

/** A node stops this part of its lease before others may take over: its timers may be late, and a run needs a moment to hear of it. */
const MARGIN = 0.15;

/**
 * How long this node may trust that nobody has taken its runs. Others count from when they saw a beat, which is after it was sent: so the
 * deadline is counted from before the sending, and no clock is compared with another.
 */
export class Lease {
  private end: number | undefined;

  constructor(
    private readonly clock: Clock,
    private readonly ttlMs: number,
  ) {}

  /** A beat arrived. @param sentAt monotonic, taken before it was sent. */
  confirmed(sentAt: number): void {
    const end = sentAt + this.ttlMs * (1 - MARGIN);
    if (this.end === undefined || end > this.end) this.end = end;
  }

  /** The node is no member any more, or never was. */
  lose(): void {
    this.end = undefined;
  }

  get isHeld(): boolean {
    return this.end !== undefined && this.clock.monotonic() < this.end;
  }

  /** Until the lease ends; 0: it has. Unit: ms. */
  get leftMs(): number {
    return this.end === undefined ? 0 : Math.max(0, this.end - this.clock.monotonic());
  }
}
