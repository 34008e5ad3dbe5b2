import type { LoggerService, Type } from '@nestjs/common';
import type { IdempotencyKey, TaskId, TaskName, UserId } from './ids.js';
import type { Task, TaskType } from './task.interface.js';
import type { TaskEvent } from './task-event.interface.js';

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
  /** Aborts on timeout, cancel, shutdown and log failure; `signal.reason` says which. */
  readonly signal: AbortSignal;
  /** Its lines carry task name, id and attempt, as the context of a Nest logger. */
  readonly logger: LoggerService;
  /** Events of earlier attempts, at most the last 1,000. */
  readonly previousEvents: readonly TaskEvent[];
  /** All earlier events, paged from storage. */
  history(): AsyncIterable<TaskEvent>;
  /** Resolves when durable; safe to ignore. @throws BackpressureError (`limit: 'run'`) past 1,000 entries or 8 MiB pending in this run. */
  progress(payload: unknown): Promise<void>;
  /** As `progress`, for an event with a name of your own. */
  emit(eventName: string, payload?: unknown): Promise<void>;
}
/** One attempt of a task: what interceptors are given, and what `@Inject(REQUEST)` gives to request-scoped providers of its handler. */
export interface TaskAttempt {
  /** As of its `start`. */
  readonly task: Task;
  readonly context: TaskContext;
}
export type RecoveryReason = 'crash' | 'shutdown' | 'stale';
export interface RecoveryContext extends TaskContext {
  /** `stale` is for the cluster. */
  readonly reason: RecoveryReason;
  readonly lastSeq: number;
  readonly timeSinceLastEventMs: number;
}
/** `recovered: true` needs a `result` unless R is void; checked at run time. */
export interface RecoveryOutcome<R> {
  recovered: boolean;
  result?: R | undefined;
}
export type HandlerResult<R> = Promise<R> | AsyncGenerator<TaskYield, R, void>;
/** What a class marked with `@TaskHandler` implements. */
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
/** Any Standard Schema (zod, valibot, arktype). Source: standardschema.dev, version 1. */
export interface StandardSchema<O = unknown> {
  readonly '~standard': {
    readonly version: 1;
    readonly vendor: string;
    validate(value: unknown): unknown;
    readonly types?: { input: unknown; output: O } | undefined;
  };
}
export interface TaskHandlerOptions {
  /**
   * A class-validator DTO class; excludes `schema`. Members that it does not name are stored and handed to the handler, as nothing that was
   * submitted is dropped in silence. Who wants them refused has a `ValidationPipe({ whitelist: true, forbidNonWhitelisted: true })` before
   * `submit`, or a strict schema here.
   */
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
export interface TaskDefinition<I = any, R = any> extends TaskHandlerOptions {
  handler(input: I, ctx: TaskContext): HandlerResult<R>;
  recovery?: ((task: Task<I, R>, ctx: RecoveryContext) => Promise<RecoveryOutcome<R>>) | undefined;
}
/** Augment to type names: `interface TaskMap { 'send-email': { input: SendEmailDto; result: { sent: boolean } } }`. */
// eslint-disable-next-line @typescript-eslint/no-empty-object-type -- it exists to be augmented
export interface TaskMap {}
export type InputOf<N> = N extends keyof TaskMap ? (TaskMap[N] extends { input: infer I } ? I : any) : any;
export type ResultOf<N> = N extends keyof TaskMap ? (TaskMap[N] extends { result: infer R } ? R : any) : any;
