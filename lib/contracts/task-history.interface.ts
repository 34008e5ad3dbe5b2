import type { TaskState } from '../domain/task-state.js';
import type { TaskId } from './ids.js';
import type { EntryType } from './task-event.interface.js';

/** An entry without its envelope. `body` is the JSON text of `d`, empty when there is none; events are shaped where they are shown. */
export interface StoredEntry {
  /** Absent on control entries, which only `CommittedFact` carries. */
  readonly taskSeq: number | undefined;
  readonly type: EntryType;
  readonly at: number;
  readonly attempt: number;
  readonly fence: number;
  readonly body: string;
}

/** A fact that is durable, with the task as of it, or as of a later one. */
export interface CommittedFact {
  readonly task: TaskState;
  readonly entry: StoredEntry;
}

/** What subscribers that fell behind read: log and database behind one cursor. */
export interface TaskHistory {
  /**
   * Stream entries after `afterSeq`, ascending and contiguous from `afterSeq` + 1; fewer than there are, or none, when a segment
   * vanished meanwhile: ask again. Without bodies never.
   * @throws StreamOverflowError when a readable database starts after `afterSeq` + 1; RepositoryError when it could not be read.
   */
  after(taskId: TaskId, afterSeq: number, limit: number): Promise<readonly StoredEntry[]>;
  /**
   * The newest durable state; null: no such task. @throws RepositoryError when it cannot be known.
   * @param bodies false: input and result only where they are at hand, so that memory answers alone. Default true.
   */
  load(taskId: TaskId, bodies?: boolean): Promise<TaskState | null>;
}
