import type { IdempotencyKey, TaskId, TaskName, UserId } from './ids.js';
import type { Task } from './task.interface.js';
import type { EntryType, StoredEvent } from './task-event.interface.js';
import type { ListOptions, Page } from './task-system.interface.js';

/** One fact of the log, complete: replaying it later, elsewhere, needs nothing else. */
export interface EventLogEntry {
  /** Log sequence: gap-free in one log. */
  readonly seq: number;
  readonly type: EntryType;
  readonly taskId: TaskId;
  /** The task's own sequence; absent for control entries. */
  readonly taskSeq?: number;
  readonly name: TaskName;
  readonly userId: UserId | null;
  /**
   * Unique over users (a generated key: the task id): store the one of the newest entry, since a task may give its key to a newer one
   * (`keyReuse`); `findByIdempotencyKey` is asked for it. Opaque.
   */
  readonly scopedKey: IdempotencyKey;
  readonly attempt: number;
  readonly fence: number;
  readonly ownerId: string;
  readonly timestamp: number;
  readonly data: Readonly<Record<string, unknown>>;
}

/**
 * Storage of your own, behind `repository: { type: 'custom', repository }`. Each call has a time limit (10 s; `findStaleTasks` 60 s): without
 * an answer by then the storage counts as away, and whoever asked is refused.
 */
export interface TaskRepository {
  initialize(): Promise<void>;
  /**
   * Resolves when durable. One call at a time, in the order of the log. May be given the same entries again, after a crash, a rejection, or
   * 30 s without an answer, never a gap: an entry that was applied before, or lands late, must change nothing.
   */
  executeBatch(entries: readonly EventLogEntry[]): Promise<void>;
  findById(taskId: TaskId): Promise<Task | null>;
  findByIdempotencyKey(scopedKey: IdempotencyKey): Promise<Task | null>;
  /**
   * Unfinished tasks whose last heartbeat (or creation) is at least `threshold` ms ago; 0 gives every unfinished task, queued and delayed
   * included. Compare no times for 0: a task that was made before the clock was set back is "newer" than now, and must be given, too.
   */
  findStaleTasks(threshold: number): Promise<Task[]>;
  getEvents(taskId: TaskId): Promise<StoredEvent[]>;
  healthCheck(): Promise<boolean>;
  close(): Promise<void>;
  /** Optional refinements. */
  findActive?(cursor: string | null, limit: number): Promise<Page<Task>>;
  getEventsAfter?(taskId: TaskId, afterSeq: number, limit: number): Promise<StoredEvent[]>;
  list?(options: ListOptions): Promise<Page<Task>>;
  findEnded?(before: Date, limit: number): Promise<Task[]>;
}
