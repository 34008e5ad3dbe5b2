import type { TaskId } from '../contracts/ids.js';
import type { EntryData } from '../contracts/log-entry.interface.js';
import type { EntryType } from '../contracts/task-event.interface.js';
import type { TaskErrorInfo, TaskStatus, TaskType } from '../contracts/task.interface.js';

/**
 * Everything that is known of a task as of one entry: what a row holds, what the log folds to. Times are epoch ms.
 * The two bodies are JSON texts, and undefined where they were not loaded.
 */
export interface TaskState {
  readonly id: TaskId;
  /** Id of the log that accepted it. */
  readonly home: string;
  readonly name: string;
  /** The key a caller chose (or derived), else null. */
  readonly key: string | null;
  readonly userId: string | null;
  readonly type: TaskType;
  readonly status: TaskStatus;
  readonly priority: number;
  readonly tags: readonly string[];
  /** Hex SHA-256 of the canonical input; null where no key was given. */
  readonly inputHash: string | null;
  /** Id of the newer task that its key was given to: it is found by id alone, and never runs again. */
  readonly supersededBy: string | null;
  /** Streams that are asked for by key number its events from here on, as earlier tasks of its key have the numbers before; 0: it is the first. */
  readonly keyBase: number;
  /** W3C trace context of the submit. */
  readonly traceparent: string | null;
  readonly attempt: number;
  readonly maxAttempts: number;
  /** Failed attempts of this life, the last one included. */
  readonly failures: number;
  readonly fence: number;
  readonly life: number;
  readonly recoveries: number;
  /** Runs of this life that ended in being put off, at no attempt's cost. */
  readonly postponements: number;
  readonly timeoutMs: number;
  /** That its run is to stop. Stays when it has. */
  readonly cancelRequest: CancelRequest | null;
  readonly lastSeq: number;
  readonly createdAt: number;
  readonly runAt: number;
  /** It ends as failed unless it started before; null: never, or no longer. */
  readonly expiresAt: number | null;
  /** Set while it waits for its backoff or its `delayMs`: how long that is, which bounds the wait whatever the wall clock says later. */
  readonly retryDelayMs: number | null;
  /** Why it waits again: reason of the last `retry` (`failed` also where it was put off, unless by its `recover`), or that of `recovered`: `crash`, `stale`; null before the first start and after a failure was retried by hand. */
  readonly resume: 'failed' | 'shutdown' | 'crash' | 'stale' | null;
  readonly startedAt: number | null;
  readonly completedAt: number | null;
  readonly lastHeartbeatAt: number | null;
  /** `at` of the last entry of any kind. */
  readonly lastEventAt: number;
  /** When it failed, unless it was removed from the dead letters since. Whether it still counts as one depends on age and rank. */
  readonly deadLetteredAt: number | null;
  readonly error: TaskErrorInfo | null;
  /** The process incarnation that wrote the last entry. */
  readonly owner: string;
  /** JSON text of the newest progress payload of this life; undefined: there is none, or it is over 4 KiB. */
  readonly progress: string | undefined;
  readonly input: string | undefined;
  readonly result: string | undefined;
}

export interface CancelRequest {
  /** When it was durable. */
  readonly at: number;
  readonly reason?: string;
}

/** The parts of an entry that the fold reads. */
export interface FoldableEntry {
  readonly type: EntryType;
  readonly taskId: TaskId;
  readonly taskSeq?: number | undefined;
  readonly at: number;
  readonly fence: number;
  readonly owner: string;
  readonly data: EntryData;
  /** JSON text of `d`, where it is at hand and `data` may lack its large members. */
  readonly body?: string | undefined;
}

/** `d` of a `created` entry. Members at their default are left out of the log. */
export interface CreatedData {
  readonly name: string;
  readonly userId?: string;
  readonly key?: string;
  readonly type?: TaskType;
  readonly input: unknown;
  readonly inputHash?: string;
  readonly maxAttempts: number;
  readonly timeoutMs: number;
  readonly runAt?: number;
  /** How long it was to wait, where that was said and not until when. */
  readonly delayMs?: number;
  readonly expiresAt?: number;
  readonly keyBase?: number;
  readonly priority?: number;
  readonly tags?: readonly string[];
  readonly traceparent?: string;
}

/** Where the next task of its key begins to number its events for streams by key. One is left out, so that no two tasks' positions meet. */
export const nextKeyBase = ({ keyBase, lastSeq }: TaskState): number => keyBase + lastSeq + 1;

export const isEnded = (status: TaskStatus): boolean => status === 'completed' || status === 'failed' || status === 'cancelled';

export type Writable = { -readonly [K in keyof TaskState]: TaskState[K] };

/**
 * A copy to be changed. Member by member: a spread of so many members takes four times the memory, and there is one copy per entry
 * of the log.
 */
export const copyOf = (state: TaskState): Writable => ({
  id: state.id,
  home: state.home,
  name: state.name,
  key: state.key,
  userId: state.userId,
  type: state.type,
  status: state.status,
  priority: state.priority,
  tags: state.tags,
  inputHash: state.inputHash,
  supersededBy: state.supersededBy,
  keyBase: state.keyBase,
  traceparent: state.traceparent,
  attempt: state.attempt,
  maxAttempts: state.maxAttempts,
  failures: state.failures,
  fence: state.fence,
  life: state.life,
  recoveries: state.recoveries,
  postponements: state.postponements,
  timeoutMs: state.timeoutMs,
  cancelRequest: state.cancelRequest,
  lastSeq: state.lastSeq,
  createdAt: state.createdAt,
  runAt: state.runAt,
  expiresAt: state.expiresAt,
  retryDelayMs: state.retryDelayMs,
  resume: state.resume,
  startedAt: state.startedAt,
  completedAt: state.completedAt,
  lastHeartbeatAt: state.lastHeartbeatAt,
  lastEventAt: state.lastEventAt,
  deadLetteredAt: state.deadLetteredAt,
  error: state.error,
  owner: state.owner,
  progress: state.progress,
  input: state.input,
  result: state.result,
});

/** A copy with these members in place of its own. */
export const changed = (state: TaskState, members: Partial<TaskState>): TaskState => Object.assign(copyOf(state), members);
