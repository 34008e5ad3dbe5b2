import type { CancelRequest, TaskState } from '../domain/task-state.js';
import type { TaskId } from './ids.js';
import type { LiveRun } from './run-liveness.interface.js';
import type { CommittedFact } from './task-history.interface.js';

/** Tells of facts, whoever made them. Listeners must not throw. */
export interface ChangeFeed {
  /** Facts that became durable, each task's in its order. Facts made by this process always; others' while their task is watched. */
  onCommitted(listener: (facts: readonly CommittedFact[]) => void): void;
  /** The same, of facts that this process made only. */
  onMade(listener: (facts: readonly CommittedFact[]) => void): void;
  /** A run of this process shall end, whoever asked for it and wherever: the request is durable. Told at least once. */
  onCancelRequested(listener: (taskId: TaskId, request: CancelRequest) => void): void;
  /**
   * Runs of this process that it may not go on with, since it could not prove in time that it lives: others may run their tasks by now.
   * Nothing more of them can be written. The process goes on with new work.
   */
  onRunsLost(listener: (runs: readonly LiveRun[], reason: Error) => void): void;
  /** Nothing more will become durable here, because of `reason`. */
  onHalted(listener: (reason: Error) => void): void;
  /** From this call until `close`, every new fact of the task is told. What became durable before is the caller's to read. */
  watch(task: TaskState): TaskWatch;
}

export interface TaskWatch {
  /** True when a reader here never lags behind what is durable: a position beyond the newest event is a mistake then. False: it may be right, so it waits. */
  readonly isExact: boolean;
  close(): void;
}
