import type { Clock } from '../contracts/clock.interface.js';
import { answerWithin, isSilence } from './answer-limit.js';

/** Whoever asks a storage that said nothing to the last one is told so soon: it is most likely still silent. */
const IMPATIENT_MS = 2_000;

/**
 * Asks a storage, each time for a limited time, and remembers whether it answers at all. An error is an answer; so is one that comes too
 * late for whoever asked: then the storage is slow, and the next one waits for the whole of its time again.
 */
export class StorageWatch {
  private silent = false;

  /** @param what for messages. @param onChange it fell silent (true), or was heard of again. Must not throw. */
  constructor(
    private readonly clock: Clock,
    private readonly what: string,
    private readonly onChange: (isSilent: boolean) => void = () => undefined,
  ) {}

  get isSilent(): boolean {
    return this.silent;
  }

  /** @throws RepositoryError `UNAVAILABLE` when there is no answer within `limitMs`, or less while nothing is heard of the storage. */
  ask<T>(limitMs: number, call: () => PromiseLike<T> | T): Promise<T> {
    return answerWithin(
      this.clock,
      this.silent ? Math.min(limitMs, IMPATIENT_MS) : limitMs,
      this.what,
      async () => {
        try {
          const answer = await call();
          this.change(false);
          return answer;
        } catch (error) {
          this.change(isSilence(error));
          throw error;
        }
      },
      () => this.change(true),
    );
  }

  private change(isSilent: boolean): void {
    if (this.silent === isSilent) return;
    this.silent = isSilent;
    this.onChange(isSilent);
  }
}
