import type { TaskId } from './ids.js';
import type { EntryType } from './task-event.interface.js';

export type EntryData = Readonly<Record<string, unknown>>;

/** One decoded line of the log: `{"s":42,"e":"created","t":"<taskId>","q":1,"at":…,"a":1,"f":0,"o":"<owner>","d":{…}}`. */
export interface LogEntry {
  /** `s`: log sequence, gap-free in one log. */
  readonly seq: number;
  /** `e` */
  readonly type: EntryType;
  /** `t`; empty for `gap`, which is about the log. */
  readonly taskId: TaskId;
  /** `q`: the task's own sequence; absent on control entries. */
  readonly taskSeq?: number;
  /** `at`: epoch ms, never running backwards within a log. */
  readonly at: number;
  /** `a` */
  readonly attempt: number;
  /** `f` */
  readonly fence: number;
  /** `o`: the process incarnation that wrote it. */
  readonly owner: string;
  /** `d`: the facts of the type; left out on disk when empty. */
  readonly data: EntryData;
}
