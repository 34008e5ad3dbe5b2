import type { Observable } from 'rxjs';
import type { EventId, IdempotencyKey, TaskId, TaskName, UserId } from './ids.js';
import type { TaskEventType, TerminalEventType } from './task-event-type.js';

export type { TaskEventType, TerminalEventType };
/** Entries of the log that are folded, never replayed to subscribers; only `heartbeat` is also shown live. */
export type ControlEntryType = 'heartbeat' | 'cancel' | 'pruned' | 'dlq-removed' | 'adopted' | 'gap';
export type EntryType = TaskEventType | ControlEntryType;

export interface TaskEvent<P = any> {
  readonly id: EventId;
  /** 1, 2, 3 … per task; absent on `heartbeat` alone. */
  readonly seq?: number;
  readonly type: TaskEventType;
  /** Only on `custom`. */
  readonly eventName?: string;
  readonly taskId: TaskId;
  readonly name: TaskName;
  readonly idempotencyKey: IdempotencyKey;
  readonly userId: UserId | null;
  readonly attempt: number;
  /** Epoch ms; never runs backwards within a task. */
  readonly timestamp: number;
  readonly payload?: P;
}
export interface StoredEvent extends TaskEvent {
  readonly seq: number;
}
/** Observable and async iterable over one cursor: each consumer reads at its own pace. */
export interface TaskStream<P = any> extends Observable<TaskEvent<P>>, AsyncIterable<TaskEvent<P>> {}
