import type { TaskState } from '../domain/task-state.js';
import type { TaskId } from './ids.js';
import type { TaskStatus } from './task.interface.js';
import type { EntryType } from './task-event.interface.js';
import type { EntryData } from './log-entry.interface.js';

/** Asked for by a caller: the run ends `cancelled`, whatever its handler returns. */
export interface CancelRequest {
  readonly reason?: string;
}

/** A fact that somebody wants made. The port adds sequence, time, attempt and fence. */
export interface FactDraft {
  readonly type: EntryType;
  readonly taskId: TaskId;
  /** What the fold reads. May leave the large members out when `body` has them (`input`, `result`, `payload`). */
  readonly data?: EntryData;
  /** JSON text of the whole `d`, when it is already encoded; else `data` is encoded. */
  readonly body?: string;
  /** Checked against the newest fold, pending entries included, in the same turn as the append. */
  readonly expect?: {
    readonly status?: readonly TaskStatus[];
    readonly fence?: number;
    readonly life?: number;
    readonly deadLettered?: boolean;
  };
}

/**
 * `applied`: durable. `stale`: what was expected no longer holds; `task` is the newest durable state (null: no such task), and whoever
 * ends a run decides again on it. `existing`: the key belongs to `task`.
 */
export type FactOutcome =
  | { readonly kind: 'applied'; readonly seq: number | undefined; readonly at: number; readonly task: TaskState }
  | { readonly kind: 'stale'; readonly task: TaskState | null }
  | { readonly kind: 'existing'; readonly task: TaskState };

/** As `FactOutcome`, for the drafts of several tasks; `tasks` in the order of the parts, `task` one that refused. */
export type FactsOutcome =
  { readonly kind: 'applied'; readonly tasks: readonly TaskState[] } | { readonly kind: 'stale'; readonly task: TaskState | null };

/**
 * The one place where facts are made. "Durable" means what the engine says: synced to the log, or committed in the database.
 *
 * Refuses with a FactRefused (`errors/fact-refused`): `later` says that nothing happened and `whenAccepting` tells when to decide
 * again; `never` that this process makes no more facts. Any other rejection is about the draft itself, such as one over its limits.
 */
export interface FactPort {
  /** Appends a group of drafts of one task: all in one frame or none. Checks are made before the first await. */
  append(drafts: readonly FactDraft[]): Promise<FactOutcome>;
  /** Appends the drafts of several tasks, each task once: all of them are durable together, or none is. */
  appendAll(parts: readonly (readonly FactDraft[])[]): Promise<FactsOutcome>;
  /**
   * The cancel request of a task that runs here, those included that are on their way to be durable; null: there is none. Undefined:
   * the task is not at hand. A hint, since another writer's request may be durable already: `append` answers `stale` then.
   */
  cancelRequestOf(taskId: TaskId): CancelRequest | null | undefined;
  /** True when facts of this task are made here; false: another process's log appends for it. */
  canWrite(task: TaskState): boolean;
  /** The newest durable state, from memory or database. @throws RepositoryError when it cannot be known. */
  load(taskId: TaskId): Promise<TaskState | null>;
  /** Resolves when the port takes entries of this kind again; rejects with EventLogError when it never will. */
  whenAccepting(kind: 'bulk' | 'lifecycle'): Promise<void>;
}
