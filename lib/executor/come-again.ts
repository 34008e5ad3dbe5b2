import { delayOf } from '../domain/bounds.js';
import { BackpressureError, SlotTimeoutError } from '../errors/admission.errors.js';
import { RetryLaterError } from '../errors/execution.errors.js';
import { EventLogFullError, RepositoryError } from '../errors/storage.errors.js';

/** What a thrown error says of the next attempt. */
export interface ComeAgain {
  /** Undefined: the backoff decides. Unit: ms. */
  readonly afterMs: number | undefined;
  readonly countsAsAttempt: boolean;
}

/**
 * Whether a thrown error says when to come again: the handler's own word, or a limit or outage of this package that it met, such as
 * the submit window of its user. Those are no failures of the task. The bound of one run's own reports is none of them: another run of the
 * same handler would pass it again at once.
 */
export function comeAgainOf(thrown: unknown): ComeAgain | undefined {
  try {
    if (RetryLaterError.is(thrown)) return { afterMs: delayOf(thrown.retryAfterMs), countsAsAttempt: thrown.countsAsAttempt };
    if (BackpressureError.is(thrown)) return thrown.limit === 'run' ? undefined : freeOfCharge(thrown.retryAfterMs);
    if (SlotTimeoutError.is(thrown) || EventLogFullError.is(thrown)) return freeOfCharge(thrown.retryAfterMs);
    return RepositoryError.is(thrown) && thrown.code === 'UNAVAILABLE' ? freeOfCharge(thrown.retryAfterMs) : undefined;
  } catch {
    return undefined; // a foreign object that cannot be looked at
  }
}

const freeOfCharge = (afterMs: unknown): ComeAgain => ({ afterMs: delayOf(afterMs), countsAsAttempt: false });
