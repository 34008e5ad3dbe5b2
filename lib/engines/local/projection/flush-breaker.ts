import type { IdSource } from '../../../contracts/clock.interface.js';
import type { BreakerState } from './flusher.interface.js';
import { retryDelayMs } from './retry-delay.js';

/**
 * How long to leave a failing database alone. The first failures in a row wait a moment each; from the threshold on the
 * breaker is open, and each probe that fails doubles the wait up to the maximum. Unlike the breaker of the primitives it
 * has one caller, who may also probe before the time is over (a flush on demand).
 */
export class FlushBreaker {
  private failures = 0;
  private current: BreakerState = 'closed';

  constructor(
    private readonly threshold: number,
    private readonly maxDelayMs: number,
    private readonly ids: Pick<IdSource, 'random'>,
  ) {}

  get state(): BreakerState {
    return this.current;
  }

  get hasFailed(): boolean {
    return this.failures > 0;
  }

  /**
   * @param isSilence the database said nothing: that took long enough to know that it is away.
   * @returns the time to wait before the next attempt, in ms.
   */
  failed(isSilence = false): number {
    this.failures++;
    if (isSilence || this.failures >= this.threshold) this.current = 'open';
    return retryDelayMs(this.failures, this.maxDelayMs, this.ids);
  }

  /** What comes next is the probe. */
  attempt(): void {
    if (this.current === 'open') this.current = 'half-open';
  }

  succeeded(): void {
    this.failures = 0;
    this.current = 'closed';
  }
}
