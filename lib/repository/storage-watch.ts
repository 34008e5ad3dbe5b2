import type { Clock } from '../contracts/clock.interface.js';
import { RepositoryError } from '../errors/storage.errors.js';
import { answerWithin, isSilence } from './answer-limit.js';

/** Whoever asks a storage that said nothing to the last one is told so soon: it is most likely still silent. */
const IMPATIENT_MS = 2_000;

/**
 * Asks a storage, each time for a limited time, and remembers whether it answers at all. An error is an answer; so is one that comes too
 * late for whoever asked: then the storage is slow, and the next one waits for the whole of its time again.
 */
export class StorageWatch {
  private silent = false;
  /** Refuse the calls that are under way. */
  private readonly waiting = new Set<(error: Error) => void>();

  /** @param what for messages. @param onChange it fell silent (true), or was heard of again. Must not throw. */
  constructor(
    private readonly clock: Clock,
    private readonly what: string,
    private readonly onChange: (isSilent: boolean) => void = () => undefined,
  ) {}

  get isSilent(): boolean {
    return this.silent;
  }

  /** @throws RepositoryError `UNAVAILABLE` when there is no answer within `limitMs`, or less while nothing is heard of the storage; or it is closed. */
  ask<T>(limitMs: number, call: () => PromiseLike<T> | T): Promise<T> {
    let refuse!: (error: Error) => void;
    const refused = new Promise<never>((_, reject) => (refuse = reject));
    this.waiting.add(refuse);
    return answerWithin(
      this.clock,
      this.silent ? Math.min(limitMs, IMPATIENT_MS) : limitMs,
      this.what,
      () => Promise.race([refused, this.heard(call)]),
      () => this.change(true),
    ).finally(() => this.waiting.delete(refuse));
  }

  /** Refuses what is under way, with its time limits, which would keep the process alive: the storage is closed, and nobody waits for it. */
  end(): void {
    for (const refuse of this.waiting)
      refuse(new RepositoryError('UNAVAILABLE', `The database was closed before it answered (${this.what}).`));
  }

  private async heard<T>(call: () => PromiseLike<T> | T): Promise<T> {
    try {
      const answer = await call();
      this.change(false);
      return answer;
    } catch (error) {
      this.change(isSilence(error));
      throw error;
    }
  }

  private change(isSilent: boolean): void {
    if (this.silent === isSilent) return;
    this.silent = isSilent;
    this.onChange(isSilent);
  }
}
