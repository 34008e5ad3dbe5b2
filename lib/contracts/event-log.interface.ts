import type { EventLogError } from '../errors/storage.errors.js';
import type { TaskId } from './ids.js';
import type { LogEntry } from './log-entry.interface.js';
import type { EntryType } from './task-event.interface.js';

/** One entry to append, already checked and encoded. The log adds `s`, `at` and `o`. */
export interface LogDraft {
  readonly type: EntryType;
  readonly taskId: TaskId;
  /** Absent on control entries. */
  readonly taskSeq: number | undefined;
  readonly attempt: number;
  readonly fence: number;
  /** JSON text of `d`; empty when there is nothing to say. */
  readonly body: string;
}

/** Entries that reach the disk together, in one frame, or not at all. The log reads `drafts`; the rest is the appender's own. */
export interface LogGroup {
  readonly drafts: readonly LogDraft[];
  /** Epoch ms: the group is stamped no earlier, whatever the clock says. Read when its frame is formed, and when that is durable. */
  readonly notBefore?: number;
}

/** Where an entry's line lies. Valid until its segment is deleted by retention; after that a read is a miss. */
export interface EntryAddress {
  /** First sequence of the segment, which names its file. */
  readonly segment: number;
  /** Byte offset of the line in the file. */
  readonly offset: number;
  /** Bytes of the line, newline excluded. */
  readonly length: number;
}

/** One frame whose sync returned. `seqs`, `offsets` and `lengths` run over the drafts of all groups, in order. */
export interface CommittedFrame<G extends LogGroup = LogGroup> {
  readonly groups: readonly G[];
  /** Sequence of the first draft; the others follow without a gap. */
  readonly firstSeq: number;
  readonly lastSeq: number;
  /** Epoch ms: the wall clock when the frame was formed. Groups whose `notBefore` is later are stamped with that. */
  readonly at: number;
  readonly segment: number;
  readonly offsets: readonly number[];
  readonly lengths: readonly number[];
  /** Bytes of the whole frame on disk, header line included. */
  readonly bytes: number;
}

/** The one who appends. Both calls are synchronous and must not throw; they come in log order. */
export interface FrameSink<G extends LogGroup = LogGroup> {
  committed(frame: CommittedFrame<G>): void;
  /**
   * The groups of one frame were refused. Entries of the same tasks that wait behind them build on what was refused:
   * the sink takes them back with `EventLogPort.withdraw` before it returns.
   */
  refused(groups: readonly G[], error: EventLogError): void;
}

/** `full`: nothing fits, or only lifecycle entries do (`minFreeBytes`, `maxUnflushedBytes`). `failed`: poisoned until the process ends. */
export type EventLogState = 'open' | 'full' | 'failed' | 'closed';

/** How far another reader may read: nothing behind it is durable. */
export interface Watermark {
  readonly segment: number;
  /** End of the last durable frame in that segment. */
  readonly byteOffset: number;
  readonly seq: number;
}

/** What the log found when it was opened. */
export interface OpenedLog {
  readonly logId: string;
  /** Grows with every open. */
  readonly gen: number;
  /** First sequence still on disk; `lastSeq + 1` when there is none. */
  readonly firstSeq: number;
  readonly lastSeq: number;
  /** `at` of the last entry, or 0. */
  readonly lastAt: number;
  /** True when the folder held no log before. */
  readonly created: boolean;
}

export interface EventLogPort<G extends LogGroup = LogGroup> {
  readonly state: EventLogState;
  readonly durableSeq: number;
  /** Opens, locks, recovers. @throws EventLogLockedError, EventLogCorruptError, ConfigValidationError (folder unusable). */
  open(sink: FrameSink<G>): Promise<OpenedLog>;
  /**
   * Queues a group for the next frame; the sink is told what became of it.
   * @throws EventLogError at once when the log is closed or failed, EventLogFullError when it takes no entries of this kind now.
   */
  append(group: G): void;
  /** Why entries of this kind are refused at this moment, or undefined. `bulk`: created, progress, custom, heartbeat. */
  refusal(kind: 'bulk' | 'lifecycle'): EventLogError | undefined;
  /** Takes groups back that are not in a frame yet. */
  withdraw(match: (group: G) => boolean): G[];
  /** Calls back once when the log accepts entries of this kind again, or has failed or closed for good. */
  whenAccepting(kind: 'bulk' | 'lifecycle', callback: () => void): void;
  /** The decoded entry, or null when its segment is gone. @throws RepositoryError never; EventLogError on an I/O error. */
  read(address: EntryAddress): Promise<LogEntry | null>;
  /** Many at once, in the order asked; entries that lie close together cost one read. */
  readMany(addresses: readonly EntryAddress[]): Promise<(LogEntry | null)[]>;
  /** Durable frames from the one that holds `fromSeq` on, up to the durable head at the time of the call; entries below `fromSeq` are left out. */
  scan(fromSeq: number): AsyncIterable<ScannedFrame>;
  /** The CRC of the frame that ends at or holds `seq`, or undefined when it is not on disk. The start compares it with the database's cursor. */
  frameCrc(seq: number): Promise<FrameMark | undefined>;
  /** What the database holds: frees `maxUnflushedBytes` and lets retention delete. Never goes backwards. */
  applied(seq: number): void;
  /** Deletes what retention allows; `confirm` reads the applied sequence from the database once more, through a new connection. */
  retain(confirm: () => Promise<number>): Promise<void>;
  watermark(): Watermark;
  /** Called after every durable frame, after the sink. */
  onDurable(listener: (watermark: Watermark) => void): void;
  /** Seals and releases the lock; waits for the frame in flight. Twice is once. */
  close(): Promise<void>;
}

export interface ScannedFrame {
  readonly gen: number;
  readonly firstSeq: number;
  readonly lastSeq: number;
  /** The frame's own stored CRC, 8 hex digits. */
  readonly crc: string;
  readonly segment: number;
  readonly entries: readonly LogEntry[];
  readonly offsets: readonly number[];
  readonly lengths: readonly number[];
}

/** A frame by which the database's cursor is recognised in the log. */
export interface FrameMark {
  readonly gen: number;
  readonly lastSeq: number;
  readonly crc: string;
}
