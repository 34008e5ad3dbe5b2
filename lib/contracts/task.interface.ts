import type { IdempotencyKey, TaskId, TaskName, UserId } from './ids.js';

export type TaskStatus = 'created' | 'running' | 'completed' | 'failed' | 'cancelled';
export type TaskType = 'user' | 'background';

/** What is kept of a thrown error. Never a stack: it goes to browsers. */
/** An error behind another one. Clients are never shown it; its stack is in the log. */
export interface TaskErrorCause {
  readonly name: string;
  readonly message: string;
  readonly code?: string;
  readonly cause?: TaskErrorCause;
  /** Of an AggregateError. */
  readonly errors?: readonly TaskErrorCause[];
}
/** Up to 8 KiB: what is behind the error is cut first. */
export interface TaskErrorInfo extends TaskErrorCause {
  readonly retryable: boolean;
}

/** A task as of one durable event. Immutable; `toJSON` gives ISO times. */
export interface Task<I = any, R = any> {
  readonly id: TaskId;
  readonly name: TaskName;
  /** The key a caller chose, or the task id where none was given. */
  readonly idempotencyKey: IdempotencyKey;
  readonly userId: UserId | null;
  readonly type: TaskType;
  readonly status: TaskStatus;
  readonly input: I;
  readonly result?: R;
  readonly error?: TaskErrorInfo;
  /** 1 + `retry` entries with reason `failed` in this life. */
  readonly attempt: number;
  readonly maxAttempts: number;
  /** Number of starts, ever: unique per run. */
  readonly fence: number;
  /** 1 + retries by hand out of the dead-letter queue; left out, 1: a custom repository may not know it. */
  readonly life?: number;
  /** Crashes in a row, as the last `recovered` entry says. */
  readonly recoveries: number;
  /** Runs of this life that were put off at no attempt's cost; left out, 0: a custom repository may not know it. */
  readonly postponements?: number;
  /** Per attempt, in ms. */
  readonly timeoutMs: number;
  readonly cancelRequestedAt: Date | null;
  /** Why its run was asked to stop; absent when nobody asked, or gave no reason. */
  readonly cancelReason?: string;
  /** Lower runs first. */
  readonly priority: number;
  readonly tags: readonly string[];
  readonly lastSeq: number;
  /** Payload of the newest `progress` event of this life; absent where there is none, or it is over 4 KiB as JSON. */
  readonly progress?: unknown;
  /** `null`, or since when it is in the dead-letter queue. */
  readonly deadLetteredAt: Date | null;
  readonly createdAt: Date;
  readonly runAt: Date;
  /** Unless it starts before, it ends as failed then; null: never, or no longer. */
  readonly expiresAt?: Date | null;
  /** The last start of this life. */
  readonly startedAt: Date | null;
  readonly completedAt: Date | null;
  readonly lastHeartbeatAt: Date | null;
  /** How its last run was interrupted; absent when none was, in this life. `stale`: its node lost its lease, in the engine `cluster`. */
  readonly resume?: 'failed' | 'shutdown' | 'crash' | 'stale';
  /** While it waits for its backoff or its `delayMs`: the delay that it was given, in ms. */
  readonly retryDelayMs?: number;
  /** Only on tasks that `applyEntry` gives: when its last entry was made. Store it, so that its times never run backwards. */
  readonly lastEventAt?: Date;
  /** Where streams by key begin to number its events, as earlier tasks had its key; absent on the first one. */
  readonly keyBase?: number;
  /** The newer task that its key was given to; absent while it has its key. */
  readonly supersededBy?: TaskId;
}
