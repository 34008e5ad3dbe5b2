import type { Clock } from '../contracts/clock.interface.js';
import { backoffMs } from './backoff.js';

export type CircuitState =
  | { readonly kind: 'closed'; readonly failures: number }
  /** `until`: monotonic ms. `opened`: how often it opened since it was last closed. */
  | { readonly kind: 'open'; readonly until: number; readonly opened: number }
  /** One probe is under way; everybody else waits for its outcome. */
  | { readonly kind: 'half-open'; readonly opened: number };

export interface CircuitBreakerOptions {
  /** Failures in a row that open it. */
  readonly threshold: number;
  /** How long it stays open the first time; doubles with every failed probe. Unit: ms. */
  readonly durationMs: number;
  /** Bound of that doubling. Unit: ms. Default: 10 × `durationMs`. */
  readonly maxDurationMs?: number;
}

const CLOSED: CircuitState = { kind: 'closed', failures: 0 };

/**
 * Stops calls to something that fails, and probes it with one call at a time until it answers. Holds no timer: time is looked at
 * when `check` is called.
 */
export class CircuitBreaker {
  private current: CircuitState = CLOSED;

  /** @param random as `IdSource.random`. */
  constructor(
    private readonly options: CircuitBreakerOptions,
    private readonly clock: Clock,
    private readonly random: () => number,
  ) {}

  get state(): CircuitState {
    return this.current;
  }

  /** Time until the next probe is allowed; 0 when a call is allowed now, or a probe is under way. Unit: ms. */
  get remainingMs(): number {
    return this.current.kind === 'open' ? Math.max(0, this.current.until - this.clock.monotonic()) : 0;
  }

  /** True: make the call, then say `succeeded()` or `failed()`. After an open time exactly one caller gets true: it is the probe. */
  check(): boolean {
    if (this.current.kind === 'closed') return true;
    if (this.current.kind === 'half-open' || this.clock.monotonic() < this.current.until) return false;
    this.current = { kind: 'half-open', opened: this.current.opened };
    return true;
  }

  succeeded(): void {
    // A call that began before it opened says nothing about now; only the probe closes it.
    if (this.current.kind !== 'open') this.current = CLOSED;
  }

  failed(): void {
    if (this.current.kind === 'open') return;
    if (this.current.kind === 'half-open') return this.open(this.current.opened + 1);
    const failures = this.current.failures + 1;
    if (failures < this.options.threshold) this.current = { kind: 'closed', failures };
    else this.open(1);
  }

  private open(opened: number): void {
    const { durationMs, maxDurationMs = durationMs * 10 } = this.options;
    const ceilingMs = backoffMs(
      { initialDelayMs: durationMs, maxDelayMs: maxDurationMs, multiplier: 2, jitter: false },
      opened,
      this.random,
    );
    // Equal jitter, not full: a breaker that closes at once would spare nobody.
    const openMs = ceilingMs / 2 + (this.random() * ceilingMs) / 2;
    this.current = { kind: 'open', until: this.clock.monotonic() + openMs, opened };
  }
}
