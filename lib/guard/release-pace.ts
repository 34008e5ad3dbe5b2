import type { Clock } from '../contracts/clock.interface.js';

/** What a caller is told while nothing is known yet. Unit: ms. */
const UNKNOWN_MS = 1000;
/** A longer gap says that nothing ran, not that runs are slow. Unit: ms. */
const LONGEST_GAP_MS = 60_000;
const WEIGHT_OF_NEWEST = 0.1;

/** How fast slots come free: a moving average over their releases, for the estimates in refusals. */
export class ReleasePace {
  private averageMs: number | undefined;
  private lastAt: number | undefined;

  constructor(private readonly clock: Clock) {}

  /** Slots came free before: something runs here. */
  get isKnown(): boolean {
    return this.lastAt !== undefined;
  }

  released(): void {
    const now = this.clock.monotonic();
    if (this.lastAt !== undefined) {
      const gapMs = Math.min(now - this.lastAt, LONGEST_GAP_MS);
      this.averageMs = this.averageMs === undefined ? gapMs : this.averageMs + (gapMs - this.averageMs) * WEIGHT_OF_NEWEST;
    }
    this.lastAt = now;
  }

  /** An estimate of the time until `count` more slots came free: whole ms, at least 1. */
  estimateMs(count: number): number {
    if (this.averageMs === undefined || this.lastAt === undefined) return UNKNOWN_MS;
    // Slots that were free often do not say much once all of them have been held for longer than that.
    const gapMs = Math.max(this.averageMs, this.clock.monotonic() - this.lastAt);
    return Math.max(1, Math.ceil(gapMs * count));
  }
}
