import type { EntryAddress } from '../../../contracts/event-log.interface.js';
import type { FactPort } from '../../../contracts/fact-port.interface.js';
import type { TaskId } from '../../../contracts/ids.js';
import type { CommittedFact } from '../../../contracts/task-history.interface.js';
import type { TaskState } from '../../../domain/task-state.js';

/** The fact port of a log, which keeps tasks in memory while they run or are about to. */
export interface ResidentFacts extends FactPort {
  /**
   * Reads many tasks at once, with their bodies, and keeps each one that exists resident: release each once. Those that are unknown,
   * or cannot be read now, are left out. Never rejects.
   * @param createdOf what `createdOf` said of a task when it began to wait, if it has not been claimed since.
   */
  hold(taskIds: readonly TaskId[], createdOf?: (taskId: TaskId) => EntryAddress | undefined): Promise<TaskState[]>;
  /** Where the `created` of a resident task lies in the log, when that is its only entry. */
  createdOf(taskId: TaskId): EntryAddress | undefined;
  /** Tells of facts that became durable. */
  onCommitted(listener: (facts: readonly CommittedFact[]) => void): void;
  /** Keeps the task resident while it has a run; `release` lets go. Counted. */
  retain(taskId: TaskId): void;
  release(taskId: TaskId): void;
}
