import type { Subscriber } from 'rxjs';
import { ValidationError } from '../errors/request.errors.js';
import { callerContext } from '../primitives/async-context.js';

/**
 * By what it can do, as a signal may come from another realm.
 * @throws ValidationError for anything but a signal or undefined, such as an AbortController in place of its `signal`.
 */
export function checkSignal(signal: unknown): void {
  if (signal !== undefined && !isSignal(signal)) throw new ValidationError('signal', 'must be an AbortSignal');
}

export function isSignal(value: unknown): value is AbortSignal {
  if (typeof value !== 'object' || value === null) return false;
  const { aborted, addEventListener, removeEventListener, throwIfAborted } = value as Partial<AbortSignal>;
  return (
    typeof aborted === 'boolean' && [addEventListener, removeEventListener, throwIfAborted].every((call) => typeof call === 'function')
  );
}

/** Completes the subscriber when the signal aborts, in the context of whoever subscribed: who aborts may be somebody else. */
export function completeOnAbort(subscriber: Subscriber<never>, signal: AbortSignal | undefined): void {
  if (signal === undefined) return;
  const context = callerContext();
  const onAbort = (): void => context.runInAsyncScope(() => subscriber.complete());
  signal.addEventListener('abort', onAbort, { once: true });
  subscriber.add(() => signal.removeEventListener('abort', onAbort));
}
