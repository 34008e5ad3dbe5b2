import type { RegisteredHandler } from './handler-registry.interface.js';

/** A submit with everything but its input checked and defaulted. Times are epoch ms. */
export interface SubmitRequest {
  readonly userId: string | null;
  readonly key: string | null;
  /** Which tasks, once they ended, give their key to this one. */
  readonly keyReuse: 'never' | 'unsuccessful' | 'ended';
  /** Undefined: at once. */
  readonly runAt: number | undefined;
  /** Given as a duration, which no clock that is set makes longer or shorter; `runAt` is then only what it came to. */
  readonly delayMs: number | undefined;
  /** Undefined: never. */
  readonly expiresAt: number | undefined;
  /** The user's window does not count for it. */
  readonly isTrusted: boolean;
  readonly priority: number;
  readonly tags: readonly string[];
  readonly timeoutMs: number;
  readonly maxAttempts: number;
  readonly waitForSlot: boolean;
}

/** A submit that passed every check of its own. */
export interface Submission {
  readonly handler: RegisteredHandler;
  readonly request: SubmitRequest;
  /** The caller's JSON: stored, hashed. */
  readonly input: string;
  /** As the caller gave it, or derived from the input; null: none. */
  readonly key: string | null;
  readonly inputHash: string | null;
  /**
   * True: a running task asks, which may go on while the system stops. To be asked only while it stops, as an answer costs a look at the
   * caller's stack, and in what the submit awaits.
   */
  readonly isFromRun: () => boolean;
  /** A TypeORM EntityManager in a transaction of the caller's, which the task then is part of; undefined: the engine commits. */
  readonly manager?: object | undefined;
}
