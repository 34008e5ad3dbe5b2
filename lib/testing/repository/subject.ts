import type { TaskRepository } from '../../contracts/task-repository.interface.js';

/** Your repository, as the checks come by it. */
export interface RepositorySubject {
  /** A repository on a store without tasks, not initialised. Called at the begin of every check. */
  create(): TaskRepository | Promise<TaskRepository>;
  /**
   * A second one on the same store, as the next process would open it: then it is checked that what `executeBatch` resolved for is
   * there. Left out: that is not checked.
   */
  reopen?(repository: TaskRepository): TaskRepository | Promise<TaskRepository>;
  /** Called at the end of every check, also of one that failed, when the repository was closed. */
  dispose?(repository: TaskRepository): void | Promise<void>;
  /** How long one call may take, in ms. Default 10,000, which is what the task system gives a read. */
  callTimeoutMs?: number;
}

/** A promise that the repository broke. The message says which, and what was seen. */
export class RepositoryFault extends Error {
  override readonly name = 'RepositoryFault';
}
