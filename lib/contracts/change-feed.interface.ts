import type { TaskState } from '../domain/task-state.js';
import type { CommittedFact } from './task-history.interface.js';

/** Tells of facts, whoever made them. */
export interface ChangeFeed {
  /** Facts that became durable, each task's in its order. Facts made by this process always; others' while their task is watched. Listeners must not throw. */
  onCommitted(listener: (facts: readonly CommittedFact[]) => void): void;
  /** The same, of facts that this process made only. */
  onMade(listener: (facts: readonly CommittedFact[]) => void): void;
  /** Nothing more will become durable here. */
  onHalted(listener: () => void): void;
  /** From this call until `close`, every new fact of the task is told. What became durable before is the caller's to read. */
  watch(task: TaskState): TaskWatch;
}

export interface TaskWatch {
  /** True when a reader here never lags behind what is durable: a position beyond the newest event is a mistake then. False: it may be right, so it waits. */
  readonly isExact: boolean;
  close(): void;
}
