import type { Owner } from '../domain/owner.js';
import type { TaskState } from '../domain/task-state.js';
import type { TaskId } from './ids.js';
import type { TaskHistory } from './task-history.interface.js';
import type { TaskStatus } from './task.interface.js';

export interface TaskQuery {
  /** Absent: trusted, all owners; null: tasks without an owner. */
  readonly userId?: string | null;
  readonly status?: TaskStatus;
  readonly name?: string;
  readonly tag?: string;
  /** Only failed tasks with `deadLetteredAt` at or after this, newest first. */
  readonly deadLetteredSince?: number;
  /** Tasks after this position, in the order of the query. */
  readonly after?: TaskPosition;
  readonly limit: number;
}

/** Place of a task in the order of a query. `at`: epoch ms. */
export interface TaskPosition {
  readonly at: number;
  readonly id: string;
}

export interface TaskPage {
  readonly items: readonly TaskState[];
  /** Where the next page begins; null: there is none. */
  readonly next: TaskPosition | null;
}

/**
 * Who answers questions. Every answer is durable, and never older than what was acknowledged by this process before the question. Every
 * method rejects with RepositoryError when the answer cannot be known in time.
 */
export interface TaskQueries extends TaskHistory {
  /** The newest durable state with its bodies; null: no such task, or one that `owner` must not know. @param owner left out: whoever may know all. */
  find(id: TaskId, owner?: Owner): Promise<TaskState | null>;
  /** The same, bodies only by chance: an engine that has the task in memory asks nothing of disk and database. */
  peek(id: TaskId, owner?: Owner): Promise<TaskState | null>;
  /** The task that has a scoped key (`domain/task-key`) now. */
  findByKey(scopedKey: string): Promise<TaskState | null>;
  /** Newest first: by (createdAt, id), dead letters by (deadLetteredAt, id). */
  page(query: TaskQuery): Promise<TaskPage>;
  /** Tasks that died at or after `since` (epoch ms); `atMost` when there are more. */
  countDeadLetters(since: number, atMost: number): Promise<number>;
  /** Whether fewer than `size` tasks that died at or after `since` are newer dead letters than this one. */
  isAmongNewestDead(dead: TaskState, since: number, size: number): Promise<boolean>;
}
