import type { Task } from '../contracts/task.interface.js';
import { TaskSystemError } from './task-system.error.js';

/** 500. The reason an attempt's signal aborts with when its time is up, and how that attempt fails. Retryable. */
export class TaskTimeoutError extends TaskSystemError {
  static override readonly kind: string = 'TaskTimeoutError';
  constructor(readonly timeoutMs: number) {
    super('TASK_TIMEOUT', 500, `The attempt took longer than ${timeoutMs} ms.`);
  }
}

/** 500, from `result()`: the task failed for good. */
export class TaskFailedError extends TaskSystemError {
  static override readonly kind: string = 'TaskFailedError';
  readonly task!: Task;
  constructor(task: Task) {
    super('TASK_FAILED', 500, `Task "${task.name}" failed: ${task.error?.message ?? 'no reason kept'}`);
    // Not enumerable: a logger that prints the error must not print input and key with it.
    Object.defineProperty(this, 'task', { value: task });
  }
}

/** 500, from `result()`, and the reason a cancelled run's signal aborts with. */
export class TaskCancelledError extends TaskSystemError {
  static override readonly kind: string = 'TaskCancelledError';
  readonly task!: Task;
  constructor(task: Task) {
    super('TASK_CANCELLED', 500, `Task "${task.name}" was cancelled.`);
    Object.defineProperty(this, 'task', { value: task });
  }
}

const NON_RETRYABLE = Symbol.for('nestjs-taskflow/non-retryable');

/** Thrown by handlers: no further attempt. */
export class NonRetryableError extends Error {
  override readonly name: string = 'NonRetryableError';
  readonly [NON_RETRYABLE] = true;

  /** Survives two installed copies of the package. */
  static is(value: unknown): value is NonRetryableError {
    return typeof value === 'object' && value !== null && NON_RETRYABLE in value;
  }
}

const RETRY_LATER = Symbol.for('nestjs-taskflow/retry-later');
/** Ten years. */
const MAX_RETRY_AFTER_MS = 315_360_000_000;

export interface RetryLaterOptions {
  /** From 0 to ten years. Unit: ms. */
  readonly retryAfterMs: number;
  /** Default true. False: no attempt is burnt, at most 1,000 times in one life of a task; after that it counts. */
  readonly countsAsAttempt?: boolean;
  readonly message?: string;
  readonly cause?: unknown;
}

/**
 * Thrown by handlers: the next attempt comes after this long, whatever the backoff says.
 * Thrown by its constructor: RangeError for a `retryAfterMs` that is no such time, which fails the attempt as any other error does.
 */
export class RetryLaterError extends Error {
  override readonly name: string = 'RetryLaterError';
  readonly [RETRY_LATER] = true;
  readonly retryAfterMs: number;
  readonly countsAsAttempt: boolean;

  constructor({ retryAfterMs, countsAsAttempt = true, message, cause }: RetryLaterOptions) {
    if (typeof retryAfterMs !== 'number' || !(retryAfterMs >= 0 && retryAfterMs <= MAX_RETRY_AFTER_MS))
      throw new RangeError(
        `RetryLaterError: retryAfterMs must be a number of ms from 0 to ${MAX_RETRY_AFTER_MS}, got ${String(retryAfterMs)}.`,
      );
    super(message ?? `Asked to come again in ${Math.ceil(retryAfterMs)} ms.`, cause === undefined ? undefined : { cause });
    this.retryAfterMs = Math.ceil(retryAfterMs);
    this.countsAsAttempt = countsAsAttempt !== false;
  }

  /** Survives two installed copies of the package. */
  static is(value: unknown): value is RetryLaterError {
    return typeof value === 'object' && value !== null && RETRY_LATER in value;
  }
}

/** 500. How a task failed that did not start before its `expiresAt`; in `task.error`, as `result()` rejects with TaskFailedError. */
export class TaskExpiredError extends TaskSystemError {
  static override readonly kind: string = 'TaskExpiredError';
  constructor(readonly expiresAt: Date) {
    super('TASK_EXPIRED', 500, `The task had not started by ${expiresAt.toISOString()}, when it expired.`);
  }
}
