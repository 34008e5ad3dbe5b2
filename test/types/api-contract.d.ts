// The shapes that other programs are written against. lib has to fit them; they are never edited to fit lib.
// One difference: the brands are the package's own, since two declarations of a brand are two brands. `ids.test-d.ts` holds their rules.
/**
 * The public surface of nestjs-taskflow, as other programs compile against it. Names and shapes here are fixed; members may be
 * added. The project keeps a type test that its own `dist/index.d.ts` satisfies every use below.
 */
import type { DynamicModule, ExecutionContext, HttpException, LoggerService, MessageEvent, Type } from '@nestjs/common';
import type { Observable } from 'rxjs';

// ── ids ────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────
import type { EventId, IdempotencyKey, Plain, TaskId, TaskName, UserId } from 'nestjs-taskflow';
export type { EventId, IdempotencyKey, TaskId, TaskName, UserId };
export declare const taskId: (value: string) => TaskId;
export declare const idempotencyKey: (value: string) => IdempotencyKey;
export declare const userId: (value: string) => UserId;
export declare const taskName: (value: string) => TaskName;
export declare const eventId: (value: string) => EventId;

// ── tasks and events ───────────────────────────────────────────────────────────────────────────────────────────────────────────
export type TaskStatus = 'created' | 'running' | 'completed' | 'failed' | 'cancelled';
export type TaskType = 'user' | 'background';
export interface TaskErrorInfo {
  readonly name: string;
  readonly message: string;
  readonly code?: string;
  readonly retryable: boolean;
}

/** A task as of one durable event. Immutable; `toJSON` gives ISO times. */
export interface Task<I = any, R = any> {
  readonly id: TaskId;
  readonly name: TaskName;
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
  /** Crashes in a row, as the last `recovered` entry says. */
  readonly recoveries: number;
  readonly timeoutMs: number;
  readonly cancelRequestedAt: Date | null;
  readonly priority: number;
  readonly tags: readonly string[];
  readonly lastSeq: number;
  /** Payload of the newest `progress` event of this life, where it is small (4 KiB). */
  readonly progress?: unknown;
  readonly expiresAt?: Date | null;
  /** `null`, or since when it is in the dead-letter queue. */
  readonly deadLetteredAt: Date | null;
  readonly createdAt: Date;
  readonly runAt: Date;
  readonly startedAt: Date | null;
  readonly completedAt: Date | null;
  readonly lastHeartbeatAt: Date | null;
}

export type TerminalEventType = 'complete' | 'error' | 'cancelled';
export type TaskEventType = 'created' | 'start' | 'progress' | 'custom' | 'retry' | 'recovered' | TerminalEventType | 'heartbeat';
/** Entries of the log that are folded, never replayed to subscribers; only `heartbeat` is also shown live. */
export type ControlEntryType = 'heartbeat' | 'cancel' | 'pruned' | 'dlq-removed' | 'adopted' | 'gap';
export interface TaskEvent<P = any> {
  readonly id: EventId;
  /** 1, 2, 3 … per task; absent on `heartbeat` alone. */
  readonly seq?: number;
  readonly type: TaskEventType;
  readonly eventName?: string;
  readonly taskId: TaskId;
  readonly name: TaskName;
  readonly idempotencyKey: IdempotencyKey;
  readonly userId: UserId | null;
  readonly attempt: number;
  readonly timestamp: number;
  readonly payload?: P;
}
/** Observable and async iterable over one cursor: each consumer reads at its own pace. */
export interface TaskStream<P = any> extends Observable<TaskEvent<P>>, AsyncIterable<TaskEvent<P>> {}

// ── handlers ───────────────────────────────────────────────────────────────────────────────────────────────────────────────────
/** What a generator yields. `type` is a string so that `yield { type: 'progress', payload }` needs no cast; checked at run time. */
export interface TaskYield {
  type: string;
  payload?: unknown;
  eventName?: string;
  message?: string;
}
export interface TaskContext {
  readonly taskId: TaskId;
  readonly name: TaskName;
  readonly userId: UserId | null;
  readonly idempotencyKey: IdempotencyKey;
  readonly attempt: number;
  readonly maxAttempts: number;
  /** Grows with every start of the task: hand it to other systems to refuse late writers. */
  readonly fence: number;
  readonly signal: AbortSignal;
  /** Its lines carry task id, name and attempt. */
  readonly logger: LoggerService;
  /** Events of earlier attempts, at most the last 1,000. */
  readonly previousEvents: readonly TaskEvent[];
  /** All earlier events, paged from storage. */
  history(): AsyncIterable<TaskEvent>;
  /** Resolves when durable; safe to ignore. @throws BackpressureError (`limit: 'run'`) past 1,000 entries or 8 MiB pending in this run. */
  progress(payload: unknown): Promise<void>;
  emit(eventName: string, payload?: unknown): Promise<void>;
}
export interface RecoveryContext extends TaskContext {
  /** `stale`: in the cluster, a task whose node lost its lease. */
  readonly reason: 'crash' | 'shutdown' | 'stale';
  readonly lastSeq: number;
  readonly timeSinceLastEventMs: number;
}
/** `recovered: true` needs a `result` unless R is void; checked at run time. */
export interface RecoveryOutcome<R> {
  recovered: boolean;
  result?: R | undefined;
}
export type HandlerResult<R> = Promise<R> | AsyncGenerator<TaskYield, R, void>;
export interface TaskHandler<I = any, R = any> {
  handle(input: I, ctx: TaskContext): HandlerResult<R>;
  recover?(task: Task<I, R>, ctx: RecoveryContext): Promise<RecoveryOutcome<R>>;
}
export interface RetryOptions {
  maxAttempts?: number | undefined;
  initialDelayMs?: number | undefined;
  maxDelayMs?: number | undefined;
  backoffMultiplier?: number | undefined;
  jitter?: boolean | undefined;
}
/** Any Standard Schema (zod, valibot, arktype). */
export interface StandardSchema<O = unknown> {
  readonly '~standard': {
    readonly version: 1;
    readonly vendor: string;
    validate(value: unknown): unknown;
    readonly types?: { input: unknown; output: O } | undefined;
  };
}
export interface TaskHandlerOptions {
  /** A class-validator DTO class; excludes `schema`. */
  input?: Type<unknown> | undefined;
  schema?: StandardSchema | undefined;
  type?: TaskType | undefined;
  /** Per attempt, in ms. A timeout is retryable. */
  timeoutMs?: number | undefined;
  retry?: RetryOptions | undefined;
  maxConcurrentExecutions?: number | undefined;
  /** `'input'`: with no key given, the key is the hash of canonical JSON of name, input and user. Default `'none'`. */
  idempotency?: 'none' | 'input' | undefined;
}
/** Declares a class as the handler of one task name. Decorator and interface share the name on purpose. */
export declare function TaskHandler(name: string, options?: TaskHandlerOptions): ClassDecorator;
export interface TaskDefinition<I = any, R = any> extends TaskHandlerOptions {
  handler(input: I, ctx: TaskContext): HandlerResult<R>;
  recovery?: ((task: Task<I, R>, ctx: RecoveryContext) => Promise<RecoveryOutcome<R>>) | undefined;
}
/** Augment to type names: `interface TaskMap { 'send-email': { input: SendEmailDto; result: { sent: boolean } } }`. */
export interface TaskMap {}
export type InputOf<N> = N extends keyof TaskMap ? (TaskMap[N] extends { input: infer I } ? I : any) : any;
export type ResultOf<N> = N extends keyof TaskMap ? (TaskMap[N] extends { result: infer R } ? R : any) : any;

// ── the system ─────────────────────────────────────────────────────────────────────────────────────────────────────────────────
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
  /** Whether a key whose task ended may begin a new one. Default `'never'`. */
  keyReuse?: 'never' | 'unsuccessful' | 'ended' | undefined;
  /** One of both: a task that has not started by then ends as failed, with `TaskExpiredError`. */
  expiresAt?: Date | undefined;
  expiresInMs?: number | undefined;
  /** `'trusted'` passes the user's window; the owner and all other bounds stay. Default `'user'`. */
  admission?: 'user' | 'trusted' | undefined;
  /** Engine `cluster` only: a TypeORM EntityManager in a transaction on the same database; the task exists once that commits. */
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

export declare class TaskSystem {
  initialize(): Promise<void>;
  defineTask<I = any, R = any>(name: string, definition: TaskDefinition<I, R>): void;
  submit<I, R>(handler: Type<TaskHandler<I, R>>, params: SubmitParams<I>): Promise<Task<I, R>>;
  submit<N extends keyof TaskMap | (string & {})>(name: N, params: SubmitParams<InputOf<N>>): Promise<Task<InputOf<N>, ResultOf<N>>>;
  /** One frame; admitted all or none per bound; answers in order. Not with `manager`. */
  submitMany<I, R>(handler: Type<TaskHandler<I, R>>, items: readonly SubmitParams<I>[]): Promise<readonly Task<I, R>[]>;
  submitMany<N extends keyof TaskMap | (string & {})>(
    name: N,
    items: readonly SubmitParams<InputOf<N>>[],
  ): Promise<readonly Task<InputOf<N>, ResultOf<N>>[]>;
  getStatus(ref: TaskRef, options?: OwnerOption): Promise<Task | null>;
  /** The same. */
  get(ref: TaskRef, options?: OwnerOption): Promise<Task | null>;
  /** A new life for a failed or cancelled task, for as long as it is retained. @throws ConflictError. */
  retry(ref: TaskRef, options?: OwnerOption): Promise<Task>;
  subscribe(ref: TaskRef, options?: SubscribeOptions): TaskStream;
  sse(ref: TaskRef, options?: SubscribeOptions): Promise<Observable<MessageEvent>>;
  /** Many tasks on one connection: those named, or all that match, new ones included. `cursors`: what `LastEventIds` read. */
  sseMany(
    selection:
      | ({ refs: readonly TaskRef[] } & OwnerOption)
      | ({ status?: TaskStatus | undefined; name?: Plain<'TaskName'> | undefined; tag?: string | undefined } & OwnerOption),
    options?: { cursors?: Readonly<Record<string, number>> | undefined; signal?: AbortSignal | undefined },
  ): Promise<Observable<MessageEvent>>;
  result<R = any>(ref: TaskRef, options?: OwnerOption & { signal?: AbortSignal | undefined }): Promise<R>;
  /** Resolves once the request is durable. @throws ConflictError when the task completed or failed before. */
  cancel(ref: TaskRef, options?: OwnerOption & { reason?: string | undefined }): Promise<Task>;
  list(options?: ListOptions): Promise<Page<Task>>;
  getStats(): TaskSystemStats;
  shutdown(options?: { timeoutMs?: number | undefined; force?: boolean | undefined }): Promise<void>;
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
}
export declare class DeadLetterService {
  list(options?: { limit?: number | undefined; cursor?: string | undefined; name?: string | undefined } & OwnerOption): Promise<Page<Task>>;
  /** Opens a new round. @throws ConflictError when not dead-lettered or `maxRetries` is used up. */
  retry(ref: TaskRef, options?: OwnerOption): Promise<Task>;
  retryAll(filter?: (task: Task) => boolean): Promise<number>;
  remove(ref: TaskRef, options?: OwnerOption): Promise<boolean>;
}
export declare class GuardService {}
export declare class StreamService {}
export declare class EventLogService {}
export declare class FlushService {}
export declare class ExecutorService {}
export declare class RecoveryService {}
export declare function createTaskSystem(options?: TaskflowOptionsInput, hooks?: TaskflowHooks): Promise<TaskSystem>;

// ── module ─────────────────────────────────────────────────────────────────────────────────────────────────────────────────────
export interface TaskflowOptionsFactory {
  createTaskflowOptions(): TaskflowOptionsInput | Promise<TaskflowOptionsInput>;
}
export declare class TaskflowModule {
  static forRoot(options?: TaskflowOptionsInput & { isGlobal?: boolean }): DynamicModule;
  static forFeature(handlers: readonly Type<TaskHandler>[]): DynamicModule;
  static forRootAsync(options: {
    isGlobal?: boolean;
    imports?: any[];
    inject?: any[];
    useFactory?: (...args: any[]) => TaskflowOptionsInput | Promise<TaskflowOptionsInput>;
    useClass?: Type<TaskflowOptionsFactory>;
    useExisting?: Type<TaskflowOptionsFactory>;
  }): DynamicModule;
}
/** The options of DESIGN.md, every one optional; typed in the project by its option classes. A misspelt name does not compile. */
export interface TaskflowOptionsInput {
  engine?: 'local' | 'cluster';
  /** `type` and what it needs; for Postgres also TypeORM's own options. */
  repository?: {
    type?: 'sqlite' | 'better-sqlite3' | 'postgres' | 'mysql' | 'mariadb' | 'lakebase' | 'custom' | 'typeorm';
    [option: string]: any;
  };
  eventLog?: {
    eventLogPath?: string;
    maxSizeBytesPerFile?: number;
    maxAgePerFile?: number;
    retentionCount?: number;
    maxUnflushedBytes?: number;
    minFreeBytes?: number;
    lockTimeoutMs?: number;
    onFailure?: 'stay' | 'exit';
  };
  flush?: {
    flushIntervalMs?: number;
    maxBatchSize?: number;
    circuitBreakerThreshold?: number;
    circuitBreakerDurationMs?: number;
    worker?: 'process' | 'inline';
  };
  guard?: {
    backpressure?: {
      maxTasksPerWindow?: number;
      maxTasksPerUserWindow?: number;
      windowSizeMs?: number;
      maxQueuedSize?: number;
      maxDelayedSize?: number;
    };
    slots?: { maxExecutionGlobal?: number; maxExecutionPerUser?: number; slotTimeoutMs?: number };
    dlq?: { maxSize?: number; ttlMs?: number; maxRetries?: number };
  };
  stream?: {
    streamBufferSize?: number;
    streamRetentionMs?: number;
    maxSubscribersPerTask?: number;
    maxSubscribersPerUser?: number;
    maxSubscribers?: number;
    keepAliveMs?: number;
    maxAgeMs?: number;
    exposeErrorMessages?: boolean;
  };
  executor?: { enabled?: boolean; heartbeatIntervalMs?: number; defaultTimeoutMs?: number; tickIntervalMs?: number; retry?: RetryOptions };
  recovery?: { staleThresholdMs?: number; scanIntervalMs?: number; maxConcurrentRecoveries?: number; maxRecoveriesPerTask?: number };
  cluster?: {
    leaseTtlMs?: number;
    beatIntervalMs?: number;
    listen?: boolean;
    pollIntervalMs?: number;
    maxExecutionPerNode?: number;
    idleAfterMs?: number;
  };
  shutdown?: { timeoutMs?: number; forceKillTimeoutMs?: number };
  limits?: { maxInputBytes?: number; maxEventBytes?: number; maxResultBytes?: number; maxDepth?: number };
  retention?: { completedTtlMs?: number; failedTtlMs?: number; sweepIntervalMs?: number };
  hooks?: TaskflowHooks;
}
export interface TaskflowHooks {
  readonly tracer?: unknown;
  readonly meter?: unknown;
  readonly logger?: unknown;
}
export declare function createHooks(parts: { tracer?: unknown; meter?: unknown; logger?: unknown }): TaskflowHooks;
export declare const LastEventId: () => ParameterDecorator;
export interface TaskSseSelection extends OwnerOption {
  ref: TaskRef;
  /** Default: Last-Event-ID, header or query. */ lastSeq?: number | undefined;
}
/**
 * An `@Sse` route whose stream is opened after guards and before interceptors: refusals keep their status whatever surrounds the route.
 * The method gets the stream by `@TaskEvents()` and returns it.
 */
export declare function TaskSse(
  path: string | string[],
  select: (context: ExecutionContext) => TaskSseSelection | Promise<TaskSseSelection>,
): MethodDecorator;
export declare const TaskEvents: () => ParameterDecorator;
/** Cursors of `sseMany` from the composite `Last-Event-ID`, or undefined. */
export declare const LastEventIds: () => ParameterDecorator;
/** A provider that wraps every attempt. Lower `order` is further out. */
export declare function TaskInterceptor(options?: { order?: number }): ClassDecorator;
export interface TaskInterceptor {
  intercept(run: { readonly task: Task; readonly context: TaskContext }, next: () => Promise<unknown>): Promise<unknown>;
}
/** A method of a provider that hears of tasks after the event is durable. It gets the Task; it changes nothing. */
export declare function OnTask(
  event: 'started' | 'retried' | 'completed' | 'failed' | 'cancelled' | 'recovered',
  handler?: Type<TaskHandler> | string,
): MethodDecorator;
export declare const InjectTaskflowOptions: () => ParameterDecorator & PropertyDecorator;
export declare class TaskflowExceptionFilter {}

// ── storage seam ───────────────────────────────────────────────────────────────────────────────────────────────────────────────
/** One fact of the log, complete: replaying it later, elsewhere, needs nothing else. */
export interface EventLogEntry {
  /** Log sequence: gap-free in one log. */
  readonly seq: number;
  readonly type: TaskEventType | ControlEntryType;
  readonly taskId: TaskId;
  /** The task's own sequence; absent for control entries. */
  readonly taskSeq?: number;
  readonly name: TaskName;
  readonly userId: UserId | null;
  /** Unique over users (a generated key: the task id): store it; `findByIdempotencyKey` is asked for it. Opaque. */
  readonly scopedKey: IdempotencyKey;
  readonly attempt: number;
  readonly fence: number;
  readonly ownerId: string;
  readonly timestamp: number;
  readonly data: Readonly<Record<string, unknown>>;
}
export interface StoredEvent extends TaskEvent {
  readonly seq: number;
}
export interface TaskRepository {
  initialize(): Promise<void>;
  /** May be given the same entries again after a crash, never a gap. */
  executeBatch(entries: readonly EventLogEntry[]): Promise<void>;
  findById(taskId: TaskId): Promise<Task | null>;
  findByIdempotencyKey(scopedKey: IdempotencyKey): Promise<Task | null>;
  /** Unfinished tasks whose last heartbeat (or creation) is at least `threshold` ms ago; 0 gives every unfinished task, queued and delayed included. */
  findStaleTasks(threshold: number): Promise<Task[]>;
  getEvents(taskId: TaskId): Promise<StoredEvent[]>;
  healthCheck(): Promise<boolean>;
  close(): Promise<void>;
  /** Optional refinements. */
  findActive?(cursor: string | null, limit: number): Promise<Page<Task>>;
  getEventsAfter?(taskId: TaskId, afterSeq: number, limit: number): Promise<StoredEvent[]>;
  list?(options: ListOptions): Promise<Page<Task>>;
  findEnded?(before: Date, limit: number): Promise<Task[]>;
}
/** The fold that every repository needs: the task after one more entry; null: delete it, or nothing to do. Pure. */
export declare function applyEntry(task: Task | null, entry: EventLogEntry): Task | null;
/** The event that subscribers replay; null for control entries. */
export declare function toStoredEvent(entry: EventLogEntry): StoredEvent | null;

// ── errors ─────────────────────────────────────────────────────────────────────────────────────────────────────────────────────
/** Root of all errors. An HttpException, so that any Nest filter gives the right status; `is` survives two installed copies. */
export declare class TaskSystemError extends HttpException {
  readonly code: string;
  static is<E extends TaskSystemError>(this: abstract new (...args: any[]) => E, value: unknown): value is E;
}
export declare class ValidationError extends TaskSystemError {
  readonly field: string;
  readonly issues: readonly { readonly path: string; readonly message: string }[];
}
export declare class NotFoundError extends TaskSystemError {}
export declare class ConflictError extends TaskSystemError {}
export declare class StreamOverflowError extends TaskSystemError {
  readonly requestedSeq: number;
  readonly firstAvailableSeq: number;
}
export declare class StreamEndedError extends TaskSystemError {}
export declare class SubscriberLimitError extends TaskSystemError {
  readonly retryAfterMs: number;
}
export declare class BackpressureError extends TaskSystemError {
  readonly limit: 'global' | 'user' | 'queue' | 'delayed' | 'slot' | 'run';
  /** Exact for windows; left out where no number can be right. */ readonly retryAfterMs?: number;
}
export declare class SlotTimeoutError extends TaskSystemError {
  readonly timeoutMs: number;
  readonly retryAfterMs: number;
}
export declare class ShuttingDownError extends TaskSystemError {}
export declare class HandlerNotFoundError extends TaskSystemError {}
export declare class EventLogError extends TaskSystemError {
  readonly state: 'full' | 'failed' | 'closed';
  readonly outcome: 'none' | 'unknown';
}
export declare class EventLogFullError extends EventLogError {
  readonly retryAfterMs: number;
}
export declare class EventLogLockedError extends TaskSystemError {}
export declare class EventLogCorruptError extends TaskSystemError {
  readonly file: string;
  readonly offset: number;
}
export declare class RepositoryError extends TaskSystemError {
  readonly retryAfterMs: number;
}
export declare class ConfigValidationError extends TaskSystemError {
  readonly issues: readonly { readonly path: string; readonly message: string }[];
}
export declare class TaskTimeoutError extends TaskSystemError {}
export declare class TaskFailedError extends TaskSystemError {
  readonly task: Task;
}
export declare class TaskCancelledError extends TaskSystemError {
  readonly task: Task;
}
export declare class TaskExpiredError extends TaskSystemError {}
/** Thrown by handlers: the next attempt comes after this long, whatever the backoff says. `countsAsAttempt: false` burns none (at most 1,000 times). */
export declare class RetryLaterError extends Error {
  constructor(options: { retryAfterMs: number; countsAsAttempt?: boolean; message?: string; cause?: unknown });
}
/** Thrown by handlers: no further attempt. */
export declare class NonRetryableError extends Error {}

// ── nestjs-taskflow/client (browsers and Node; no dependency) ───────────────────────────────────────────────────────────────────
export declare namespace client {
  /** What `data` of an SSE message holds. */
  interface TaskMessage<P = any> {
    readonly seq: number;
    readonly type: TaskEventType;
    readonly eventName?: string;
    readonly taskId: string;
    readonly attempt: number;
    readonly timestamp: number;
    readonly payload?: P;
  }
  /** `ended`: the task's last event was seen; `missing`: 404; `refused`: 400, 401, 403; `closed`: by the caller. */
  interface WatchEnd {
    readonly reason: 'ended' | 'missing' | 'refused' | 'closed';
    readonly status?: number;
    readonly lastSeq: number;
  }
  interface WatchOptions<P = any> {
    lastSeq?: number;
    /** Asked again before every connection. */
    headers?: Record<string, string> | (() => Record<string, string> | Promise<Record<string, string>>);
    credentials?: 'omit' | 'same-origin' | 'include';
    signal?: AbortSignal;
    fetch?: typeof fetch;
    /** Browsers: no connection while the page is hidden. Default false. */
    pauseWhenHidden?: boolean;
    onEvent?(event: TaskMessage<P>): void;
    /** History before `firstAvailableSeq` is gone; it goes on from there. */
    onGap?(gap: { readonly firstAvailableSeq: number }): void;
    onStatus?(status: 'connecting' | 'live' | 'waiting', detail: { readonly retryInMs?: number; readonly status?: number }): void;
    onEnd?(end: WatchEnd): void;
  }
  interface TaskWatch<P = any> extends AsyncIterable<TaskMessage<P>> {
    readonly lastSeq: number;
    readonly done: Promise<WatchEnd>;
    close(): void;
  }
  /** Begins at once; never throws later: `done` always resolves. */
  function watchTask<P = any>(url: string | URL, options?: WatchOptions<P>): TaskWatch<P>;
  /** For an endpoint of `sseMany`; `cursors` by task id. */
  function watchTasks<P = any>(
    url: string | URL,
    options?: Omit<WatchOptions<P>, 'lastSeq'> & { cursors?: Record<string, number> },
  ): AsyncIterable<TaskMessage<P>> & {
    readonly cursors: Readonly<Record<string, number>>;
    readonly done: Promise<WatchEnd>;
    close(): void;
  };
}

// ── nestjs-taskflow/testing ─────────────────────────────────────────────────────────────────────────────────────────────────────
export declare namespace testing {
  /** Instead of TaskflowModule: a temporary folder, inline flush, a clock that stands still until it is moved, silent. */
  class TaskflowTestingModule {
    static forTest(options?: TaskflowOptionsInput): DynamicModule;
  }
  /** Injectable beside TaskSystem. */
  class TaskflowTesting {
    readonly clock: { now(): number; advance(ms: number): Promise<void> };
    /** Until nothing is runnable at the clock's present time. */
    drain(): Promise<void>;
    /** Runs the next runnable task to the end of its attempt; null: none. */
    runNext(): Promise<Task | null>;
    submitted(handler?: Type<TaskHandler> | string): readonly Task[];
    /** @throws an Error that shows what was submitted instead. */
    expectSubmitted(handler: Type<TaskHandler> | string, input?: unknown): Task;
    /** As after `kill -9`, in process: what was not synced is gone; then starts again. */
    crash(): Promise<void>;
    fail(what: 'log-full' | 'log-failed' | 'database-away' | 'database-silent' | null): void;
  }
  function taskContext(
    overrides?: Partial<TaskContext>,
  ): TaskContext & { readonly emitted: readonly { type: 'progress' | 'custom'; eventName?: string; payload?: unknown }[] };
  function collect<P = any>(stream: TaskStream<P>, options?: { max?: number; timeoutMs?: number }): Promise<TaskEvent<P>[]>;
}

// ── nestjs-taskflow/health ──────────────────────────────────────────────────────────────────────────────────────────────────────
export declare namespace health {
  /** For @nestjs/terminus. `liveness` fails only where a restart helps; `readiness` while new work would be refused. */
  class TaskflowHealthIndicator {
    liveness(key?: string): Promise<Record<string, unknown>>;
    readiness(key?: string): Promise<Record<string, unknown>>;
  }
}
