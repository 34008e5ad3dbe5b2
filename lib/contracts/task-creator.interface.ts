import type { Submission } from './submission.interface.js';
import type { Task } from './task.interface.js';

/**
 * Who lets tasks in. Keys, windows, what may wait, and slots are decided here, because only the engine knows what all submits see: one
 * process in memory, or all nodes in a database.
 */
export interface TaskCreator {
  /**
   * The task as of its `created`, durable; or the existing task of the same key, name and input.
   * @param value what `handle` gets when the task starts at once; undefined: its run parses the input itself.
   * @throws ConflictError, BackpressureError, SlotTimeoutError, ShuttingDownError, RepositoryError, FactRefused. Then nothing was
   * created, unless the error's outcome is `unknown`.
   */
  create(submission: Submission, value: unknown): Promise<Task>;
  /**
   * The same for many of one handler: durable together, admitted all or none by each bound; answers in order. Items of one key are each
   * other's hits. @throws as `create`, a ValidationError with the item's index.
   */
  createMany(submissions: readonly Submission[], values: readonly unknown[]): Promise<readonly Task[]>;
  /**
   * From here on only running tasks create new ones, and nothing starts at its submit: what waits for a key or a slot is refused.
   * Resolves when all that was on its way to be durable is handed over.
   */
  stop(): Promise<void>;
  /** Resolves when all that is on its way to be durable is handed over. */
  handedOver(): Promise<void>;
}
