import type { Clock } from '../contracts/clock.interface.js';
import { RepositoryError } from '../errors/storage.errors.js';

const silences = new WeakSet<object>();

/** True for the error that `answerWithin` made: the storage said nothing, neither yes nor no. */
export const isSilence = (error: unknown): boolean => typeof error === 'object' && error !== null && silences.has(error);

export function silence(what: string, waitedMs: number): RepositoryError {
  const error = new RepositoryError(
    'UNAVAILABLE',
    `The database did not answer (${what}): it neither answered nor failed within ${Math.round(waitedMs)} ms.`,
  );
  silences.add(error);
  return error;
}

/**
 * The answer of a storage, but no later than its time limit: a network that went silent gives neither an answer nor an error, for
 * hours. What comes after the limit is nobody's any more. A call that throws at once, or answers with no promise, is an answer, too.
 * @param what for the message: where the storage is.
 * @param onSilence called at the limit, to end what the silent call still holds.
 * @throws RepositoryError, code `UNAVAILABLE`, for which `isSilence` holds.
 */
export function answerWithin<T>(
  clock: Clock,
  limitMs: number,
  what: string,
  call: () => PromiseLike<T> | T,
  onSilence: () => void = () => undefined,
): Promise<T> {
  return new Promise((resolve, reject) => {
    // It keeps the process alive: whoever waits for the answer is told of the silence, also when nothing else is left to do.
    const timer = clock.after(
      limitMs,
      () => {
        reject(silence(what, limitMs));
        onSilence();
      },
      true,
    );
    const settle =
      <V>(how: (value: V) => void) =>
      (value: V): void => {
        timer.cancel();
        how(value);
      };
    new Promise<T>((answer) => answer(call())).then(settle(resolve), settle(reject));
  });
}
