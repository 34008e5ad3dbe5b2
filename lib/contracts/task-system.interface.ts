import type { Plain, TaskId } from './ids.js';
import type { TaskStatus } from './task.interface.js';

export interface SubmitParams<I> {
  input: I;
  /** `null` or left out: no owner. Present but undefined or empty: ValidationError. */
  userId?: Plain<'UserId'> | null;
  idempotencyKey?: Plain<'IdempotencyKey'> | undefined;
  runAt?: Date | undefined;
  delayMs?: number | undefined;
  /** Lower runs first; default 0. */
  priority?: number | undefined;
  tags?: readonly string[] | undefined;
  timeoutMs?: number | undefined;
  maxAttempts?: number | undefined;
  /**
   * Whether a key whose task failed or was cancelled (`unsuccessful`), or ended at all, may begin a new one, whatever its name and input.
   * Default `'never'`. The ended task is found by id from then on, is no dead letter, and cannot be retried.
   */
  keyReuse?: 'never' | 'unsuccessful' | 'ended' | undefined;
  /** One of both: a task that has not started by then ends as failed, with `TaskExpiredError`. A later attempt, or a retry by hand, does not expire. */
  expiresAt?: Date | undefined;
  expiresInMs?: number | undefined;
  /** `'trusted'` passes the user's window; the owner and all other bounds stay. Default `'user'`. */
  admission?: 'user' | 'trusted' | undefined;
  /** Engine `cluster` only; refused here. A TypeORM EntityManager in a transaction on the same database; the task exists once that commits. */
  manager?: object | undefined;
  /** Wait for an execution slot before the task is created; SlotTimeoutError after `guard.slots.slotTimeoutMs`. */
  waitForSlot?: boolean | undefined;
}
/** A key; or a task or event itself; or its id (`taskId` is looked at before `id`). A key that a caller chose for a user needs `userId`; a generated key does not. */
export type TaskRef = Plain<'IdempotencyKey'> | { readonly id: TaskId } | { readonly taskId: Plain<'TaskId'> };
export interface OwnerOption {
  userId?: Plain<'UserId'> | null;
}
export interface SubscribeOptions extends OwnerOption {
  /**
   * Position of the last event that is known; left out, 0: all events. It is the event's `seq`, but in one case: a stream that is asked for by
   * a key which an earlier task had numbers on from that task's events, as the ids of `sse()` do, so that an old position is a
   * StreamOverflowError (start over at its `firstAvailableSeq` - 1) and never lands amid the newer task. To resume by `seq` there, name
   * the task or an event of it.
   */
  lastSeq?: number | undefined;
  signal?: AbortSignal | undefined;
}
export interface ListOptions extends OwnerOption {
  status?: TaskStatus | undefined;
  name?: Plain<'TaskName'> | undefined;
  tag?: string | undefined;
  deadLettered?: boolean | undefined;
  limit?: number | undefined;
  cursor?: string | undefined;
}
export interface Page<T> {
  readonly items: readonly T[];
  readonly nextCursor: string | null;
}
export interface TaskSystemStats {
  readonly status: 'starting' | 'running' | 'degraded' | 'stopping' | 'stopped';
  readonly tasks: {
    readonly queued: number;
    readonly delayed: number;
    readonly running: number;
    readonly completed: number;
    readonly failed: number;
    readonly cancelled: number;
    readonly retried: number;
    readonly recovered: number;
    readonly deadLettered: number;
    readonly withoutHandler: number;
  };
  readonly guard: {
    readonly rejections: Readonly<Record<'global' | 'user' | 'queue' | 'delayed' | 'slot', number>>;
    readonly slotsInUse: number;
  };
  readonly eventLog: {
    readonly state: 'open' | 'full' | 'failed' | 'closed';
    readonly durableSeq: number;
    readonly unflushedBytes: number;
    readonly segments: number;
    readonly overlayBytes: number;
  };
  readonly flush: {
    readonly workerPid: number | null;
    readonly appliedSeq: number;
    readonly lagMs: number;
    readonly breaker: 'closed' | 'open' | 'half-open';
    readonly restarts: number;
    readonly deadEntries: number;
  };
  readonly streams: { readonly active: number; readonly subscribers: number };
  /** Running tasks of other homes that showed no sign of life at the last scan; at most 100 are counted. */
  readonly recovery: { readonly staleElsewhere: number };
}

export interface ShutdownOptions {
  /** How long running tasks may go on. Unit: ms. Default `shutdown.timeoutMs`. */
  readonly timeoutMs?: number | undefined;
  /** Their signals fire at once, and nothing is flushed. */
  readonly force?: boolean | undefined;
}
