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
