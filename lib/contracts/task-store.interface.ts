import type { TaskState } from '../domain/task-state.js';
import type { LogEntry } from './log-entry.interface.js';
import type { StoredEntry } from './task-history.interface.js';
import type { TaskQuery } from './task-queries.interface.js';

/** How far a log is in the database; one row per log, written in the transaction of the rows it speaks of. */
export interface FlushCursor {
  readonly logId: string;
  /** Generation of the frame that holds `appliedSeq`. */
  readonly gen: number;
  readonly appliedSeq: number;
  /** CRC of that frame, 8 hex digits. */
  readonly appliedCrc: string;
  /** Generation of the process that may write; a newer one ends an older worker. */
  readonly ownerGen: number;
}

/** A log, as its rows tell of it. */
export interface UnfinishedHome {
  readonly home: string;
  readonly appliedSeq: number;
  readonly unfinished: number;
  /** Epoch ms by that process's clock; 0: it ended in order, or never was here. */
  readonly beatAt: number;
}

/**
 * What the parent reads of the database. Every method rejects with RepositoryError: `UNAVAILABLE` when the database did not answer, at the
 * latest when its time limit is over.
 * States come with their bodies unless said otherwise.
 * Quarantined tasks are as the log says, in every answer: dead entries are folded onto what the tables took. A question about many
 * tasks folds all that are quarantined; `findByIds`, `findByKeys` and `entriesAfter` only those that are asked for.
 */
export interface TaskStore {
  /** Connects and migrates. Rejects with `UNAVAILABLE` when the database cannot be reached: call again. */
  open(): Promise<void>;
  readonly isOpen: boolean;
  /** True after a question that was neither answered nor refused, until there is an answer again. */
  readonly isSilent: boolean;
  cursor(logId: string): Promise<FlushCursor | null>;
  /** The same, read through a connection opened for this call alone: before segments are deleted. */
  confirmedCursor(logId: string): Promise<FlushCursor | null>;
  findByIds(ids: readonly string[]): Promise<Map<string, TaskState>>;
  /** By scoped key (`domain/task-key`). */
  findByKeys(scopedKeys: readonly string[]): Promise<Map<string, TaskState>>;
  /** Of keys whose tasks were pruned: `keyBase` of the next task. Keys that nothing is known of are left out; a custom repository knows none. */
  keyBases(scopedKeys: readonly string[]): Promise<Map<string, number>>;
  /** Stream entries with `taskSeq` above `afterSeq`, ascending. Quarantined entries of the task count in. */
  entriesAfter(taskId: string, afterSeq: number, limit: number): Promise<StoredEntry[]>;
  /** Unfinished tasks of a home in the order (createdAt, id), without bodies. `NOT_SUPPORTED` never: every store has it. */
  unfinished(
    home: string,
    status: 'created' | 'running' | undefined,
    after: { at: number; id: string } | null,
    limit: number,
  ): Promise<TaskState[]>;
  /** Order: (createdAt, id) descending; for dead letters (deadLetteredAt, id) descending. `NOT_SUPPORTED` where a custom repository has no `list`. */
  list(query: TaskQuery): Promise<TaskState[]>;
  /** Dead letters newer than the given one: its rank. */
  deadLetterRank(since: number, position: { at: number; id: string }): Promise<number>;
  countDeadLetters(since: number, atMost: number): Promise<number>;
  /** Ended tasks of a home that retention may prune: completed or cancelled before the first time, failed before the second; oldest first, without bodies. */
  prunable(home: string, completedBefore: number, failedBefore: number, limit: number): Promise<TaskState[]>;
  /** Unfinished running tasks of other homes without a heartbeat since `before`: id, home, last sign of life. */
  staleElsewhere(home: string, before: number, limit: number): Promise<readonly { id: string; home: string; lastSeenAt: number }[]>;
  /** Homes, other than the given one, that have unfinished tasks: with their cursor positions, and the last beat of their process. */
  unfinishedElsewhere(home: string): Promise<readonly UnfinishedHome[]>;
  /** True when a process of this home was let in before. */
  isKnown(home: string): Promise<boolean>;
  /** Says that this process holds this home, and still lives. */
  beat(home: string, owner: string, at: number): Promise<void>;
  /** Says that this process ended in order; nothing where another one holds the home by now. */
  leave(home: string, owner: string): Promise<void>;
  deadEntryCount(home: string): Promise<number>;
  healthCheck(): Promise<boolean>;
  close(): Promise<void>;
}

/** One frame's worth, or less, of the log on its way to the database. */
export interface FlushBatch {
  readonly logId: string;
  readonly entries: readonly LogEntry[];
  /** The cursor that must be stored now; null: none yet. */
  readonly from: FlushCursor | null;
  /** The cursor after this batch. */
  readonly to: FlushCursor;
}

export interface AppliedBatch {
  readonly cursor: FlushCursor;
  /** Entries set aside because of their task's poisonous entry, in this batch. */
  readonly quarantined: number;
}

/** The writing side: in the flush worker, or inline. */
export interface Projector {
  open(): Promise<void>;
  cursor(logId: string): Promise<FlushCursor | null>;
  /**
   * Applies a batch and moves the cursor, in one transaction. A replay changes nothing.
   * @throws CursorMovedError when the stored cursor is not `from`; FencedWriterError when a newer `ownerGen` has written.
   */
  apply(batch: FlushBatch): Promise<AppliedBatch>;
  /** Transient: try again later. Anything else was handled by quarantine inside `apply`. */
  isTransient(error: unknown): boolean;
  close(): Promise<void>;
}

/** Where a custom repository's cursor is kept: a file in the log folder. */
export interface CursorFile {
  read(): Promise<FlushCursor | null>;
  /**
   * Durable when it resolves: temp file, fsync, rename, fsync of the folder. Rejects once another process may hold the log.
   * @param check is given what is stored right before; throws to leave it as it is.
   */
  write(cursor: FlushCursor, check?: (stored: FlushCursor | null) => void): Promise<void>;
}
