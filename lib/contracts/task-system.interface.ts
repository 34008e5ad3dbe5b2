import type { Degradation } from './degradation.interface.js';
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
/** Which tasks one stream follows: those named, at most 100, or all that match, new ones included. */
export type TaskSelection =
  | ({ refs: readonly TaskRef[] } & OwnerOption)
  | ({ status?: TaskStatus | undefined; name?: Plain<'TaskName'> | undefined; tag?: string | undefined } & OwnerOption);
export interface SseManyOptions {
  /** Seq of the last event that the client has, by task id, as `@LastEventIds()` reads it. A task that is not named is told from its beginning. */
  cursors?: Readonly<Record<string, number>> | undefined;
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
/** One reading of all counters. Those of this process begin at 0 with each start; the others are states. */
export interface TaskSystemStats {
  /** `starting` until every provider's `onApplicationBootstrap` is over, `degraded` while it works but not all of it, `stopping` from the first closing hook, `stopped` after the last. */
  readonly status: 'starting' | 'running' | 'degraded' | 'stopping' | 'stopped';
  /** Why `status` is `degraded`, the worst first, each with its remedy; else empty. */
  readonly degraded: readonly Degradation[];
  readonly tasks: {
    /** Tasks that wait for a slot now. State. */
    readonly queued: number;
    /** Tasks that wait for their time: `runAt`, `delayMs`, a backoff. State. */
    readonly delayed: number;
    /** Runs under way in this process. State. */
    readonly running: number;
    /** Tasks that completed in this process since its start. */
    readonly completed: number;
    /** Tasks that failed for good in this process since its start, those that expired and those that crashed too often included. */
    readonly failed: number;
    /** Tasks that were cancelled in this process since its start, waiting ones included. */
    readonly cancelled: number;
    /** Runs that ended in a `retry` since the start: failed attempts, put off, released at shutdown, retried by hand. */
    readonly retried: number;
    /** Tasks that a crash had interrupted and this process took up again. */
    readonly recovered: number;
    /** Dead letters, as far as they were counted: failed tasks that were not removed, within `guard.dlq.ttlMs` and `maxSize`. State. */
    readonly deadLettered: number;
    /** Tasks that wait because no handler of their name is defined in this process. State; more than 0 after a deploy: a handler was renamed or left out. */
    readonly withoutHandler: number;
  };
  readonly guard: {
    /** Submits refused since the start, by limit: the windows `global` and `user`, `queue` (`maxQueuedSize`), `delayed` (`maxDelayedSize`), `slot` (`waitForSlot` in vain). */
    readonly rejections: Readonly<Record<'global' | 'user' | 'queue' | 'delayed' | 'slot', number>>;
    /** Execution slots in use, of `guard.slots.maxExecutionGlobal`. State. */
    readonly slotsInUse: number;
  };
  readonly eventLog: {
    /** `full`: submits are refused until there is room; `failed`: until a restart. */
    readonly state: 'open' | 'full' | 'failed' | 'closed';
    /** Log sequence of the newest entry that is synced. */
    readonly durableSeq: number;
    /** Bytes of the log that are not in the database yet; refused from `eventLog.maxUnflushedBytes` on. */
    readonly unflushedBytes: number;
    /** Files of the log. */
    readonly segments: number;
    /** Memory held for entries that are not in the database yet. Unit: bytes, estimated. */
    readonly overlayBytes: number;
  };
  readonly flush: {
    /** Process id of the flush worker; null: rows are written in this process, or the worker is being replaced. */
    readonly workerPid: number | null;
    /** Log sequence up to which everything is in the database. `durableSeq - appliedSeq` entries wait. */
    readonly appliedSeq: number;
    /** Age of the oldest entry that is not in the database; 0: there is none. Unit: ms. */
    readonly lagMs: number;
    /** `open`: the database is left alone for `flush.circuitBreakerDurationMs`; `half-open`: it is being tried. */
    readonly breaker: 'closed' | 'open' | 'half-open';
    /** Workers that were replaced since the start. */
    readonly restarts: number;
    /** Entries that the database refused for what they are, set aside and still read: `npx taskflow log retry-dead`. State. */
    readonly deadEntries: number;
  };
  readonly streams: {
    /** Tasks whose newest events are kept in memory for subscribers. State. */
    readonly active: number;
    /** Subscribers, SSE connections included. State. */
    readonly subscribers: number;
  };
  readonly recovery: {
    /** Running tasks of other homes that showed no sign of life at the last scan; at most 100 are counted. State. */
    readonly staleElsewhere: number;
  };
}

export interface ShutdownOptions {
  /** How long running tasks may go on. Unit: ms. Default `shutdown.timeoutMs`. */
  readonly timeoutMs?: number | undefined;
  /** Their signals fire at once, and nothing is flushed. */
  readonly force?: boolean | undefined;
}
