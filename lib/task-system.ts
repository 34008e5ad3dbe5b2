import { Inject, Injectable, type MessageEvent, type Type } from '@nestjs/common';
import type { Observable } from 'rxjs';
import type { InputOf, ResultOf, TaskDefinition, TaskHandler, TaskMap } from './contracts/task-handler.interface.js';
import type { RegisteredHandler } from './contracts/handler-registry.interface.js';
import { TASK_QUERIES } from './config/taskflow.tokens.js';
import type { TaskStream } from './contracts/task-event.interface.js';
import type { TaskQueries } from './contracts/task-queries.interface.js';
import type {
  ListOptions,
  OwnerOption,
  Page,
  ShutdownOptions,
  SseManyOptions,
  SubmitParams,
  SubscribeOptions,
  TaskRef,
  TaskSelection,
  TaskSystemStats,
} from './contracts/task-system.interface.js';
import type { Task } from './contracts/task.interface.js';
import { decodeCursor, encodeCursor, pageLimit } from './domain/page-cursor.js';
import type { Owner } from './domain/owner.js';
import type { TaskState } from './domain/task-state.js';
import { HandlerNotFoundError, ValidationError } from './errors/request.errors.js';
import { ExecutorService } from './executor/executor.service.js';
import { HandlerRegistry } from './handlers/handler-registry.js';
import { CancellationService } from './intake/cancellation.service.js';
import { IntakeService } from './intake/intake.service.js';
import { Readiness } from './lifecycle/readiness.js';
import { TaskResolver } from './intake/task-resolver.service.js';
import { DeadLetterService } from './dead-letters/dead-letter.service.js';
import { ManualRetry } from './dead-letters/manual-retry.service.js';
import { StreamService } from './stream/stream.service.js';
import { definitionOf } from './handlers/task-definition.js';
import { checkedShutdown } from './shutdown-options.js';
import { TaskflowLifecycle } from './taskflow.lifecycle.js';
import { FILTER_OPTIONS, taskFilterOf } from './task-filter.js';
import { TaskStreams } from './task-streams.js';
import { MisuseLog } from './telemetry/misuse-log.js';
import { TaskflowStats } from './taskflow-stats.js';

const LIST_OPTIONS = [...FILTER_OPTIONS, 'deadLettered', 'limit', 'cursor'] satisfies (keyof ListOptions)[];
const SUBSCRIBE_OPTIONS = ['lastSeq', 'signal'] satisfies (keyof SubscribeOptions)[];

/**
 * The way in: submit, watch, cancel, list. Before `initialize()` the first call opens log and database, and none runs a task: what is
 * submitted then is durable, and runs when the system is up.
 */
@Injectable()
export class TaskSystem {
  constructor(
    @Inject(TaskflowLifecycle) private readonly lifecycle: TaskflowLifecycle,
    private readonly readiness: Readiness,
    private readonly registry: HandlerRegistry,
    private readonly intake: IntakeService,
    private readonly cancellation: CancellationService,
    private readonly resolver: TaskResolver,
    @Inject(TASK_QUERIES) private readonly tasks: TaskQueries,
    private readonly streams: StreamService,
    private readonly selections: TaskStreams,
    /** Failed tasks, and their way back. */
    readonly deadLetters: DeadLetterService,
    private readonly manual: ManualRetry,
    private readonly stats: TaskflowStats,
    private readonly misuse: MisuseLog,
    private readonly executor: ExecutorService,
  ) {}

  /**
   * Opens log and database, takes up what was left, and starts to run. Idempotent; the module calls it when every other provider's
   * `onApplicationBootstrap` is over.
   */
  initialize(): Promise<void> {
    return this.lifecycle.start();
  }

  /** Adds a task without a class. @throws ConfigValidationError; ConflictError when the name is taken. */
  defineTask<I = any, R = any>(name: string, definition: TaskDefinition<I, R>): void {
    this.registry.define(definitionOf(name, definition));
  }

  /**
   * Resolves once the task's `created` event is durable: no crash after that loses the task. The same key with the same name and
   * input gives the existing task.
   * @throws ValidationError, HandlerNotFoundError, ConflictError (the key belongs to another name or input), BackpressureError,
   * SlotTimeoutError, ShuttingDownError, RepositoryError (the key could not be looked up), EventLogError.
   */
  submit<I, R>(handler: Type<TaskHandler<I, R>>, params: SubmitParams<I>): Promise<Task<I, R>>;
  submit<N extends keyof TaskMap | (string & {})>(name: N, params: SubmitParams<InputOf<N>>): Promise<Task<InputOf<N>, ResultOf<N>>>;
  submit(handler: Type<TaskHandler> | string, params: SubmitParams<unknown>): Promise<Task> {
    if (!this.readiness.isAccepting) return this.submitWhenReady(handler, params);
    try {
      // Handed on as it is: each promise around another costs its caller two turns of the microtask queue.
      return this.intake.submit(this.handlerOf(handler), params);
    } catch (error) {
      return Promise.reject(this.misuse.seen(error));
    }
  }

  /**
   * Up to 1,000 submits as one: durable together, admitted all or none by each bound; answers in order. Items of one key are each other's
   * hits. @throws what `submit` throws, an item's ValidationError with its index: then nothing was created.
   */
  submitMany<I, R>(handler: Type<TaskHandler<I, R>>, items: readonly SubmitParams<I>[]): Promise<readonly Task<I, R>[]>;
  submitMany<N extends keyof TaskMap | (string & {})>(
    name: N,
    items: readonly SubmitParams<InputOf<N>>[],
  ): Promise<readonly Task<InputOf<N>, ResultOf<N>>[]>;
  async submitMany(handler: Type<TaskHandler> | string, items: readonly SubmitParams<unknown>[]): Promise<readonly Task[]> {
    // Asked once, and here: what is called later need not be seen on the stack any more.
    const { isInsideRun } = this.executor;
    await this.readiness.waitToAccept(isInsideRun);
    try {
      return await this.intake.submitMany(this.handlerOf(handler), items, isInsideRun);
    } catch (error) {
      throw this.misuse.seen(error);
    }
  }

  /** The newest durable state, or null. @throws ValidationError; RepositoryError when it cannot be known. */
  async getStatus(ref: TaskRef, options?: OwnerOption): Promise<Task | null> {
    const owner = this.misuse.ownerOf(options);
    await this.readiness.wait();
    const state = await this.resolver.find(ref, owner);
    return state === null ? null : this.shown(state);
  }

  /** The same as `getStatus`. */
  get(ref: TaskRef, options?: OwnerOption): Promise<Task | null> {
    return this.getStatus(ref, options);
  }

  /**
   * A new life for a failed or cancelled task, for as long as it is retained: neither the bounds of the dead-letter queue nor an expiry
   * count. It starts over at attempt 1, under the same id, key and sequence of events.
   * @throws ConflictError when it has not ended, completed, gave its key to a newer task, or belongs to another log; NotFoundError.
   */
  async retry(ref: TaskRef, options?: OwnerOption): Promise<Task> {
    const owner = this.misuse.ownerOf(options);
    await this.readiness.waitToAccept(this.executor.isInsideRun);
    return this.shown(await this.manual.retry(await this.resolver.require(ref, owner)));
  }

  /**
   * Events after `lastSeq` (0: all), once each and in order, then live ones; completes after the last terminal event. Cold: each
   * subscription and each iterator has a cursor of its own. Errors reach the consumer: NotFoundError, StreamOverflowError,
   * SubscriberLimitError, ValidationError, RepositoryError.
   */
  subscribe(ref: TaskRef, options: SubscribeOptions = {}): TaskStream {
    const resolve = async (): Promise<TaskState> => {
      const owner = this.misuse.ownerOf(options, SUBSCRIBE_OPTIONS);
      await this.readiness.wait();
      return this.resolver.locate(ref, owner);
    };
    // What is wrong with the options is for the stream to say, as every other refusal.
    const { userId, lastSeq, signal } = options ?? {};
    return this.streams.open(resolve, { userId, lastSeq: lastSeq ?? 0, byKey: typeof ref === 'string', signal });
  }

  /** The same for an `@Sse` endpoint; the id of a message is its position. Everything that can be refused is refused before the answer's headers go out. */
  async sse(ref: TaskRef, options: SubscribeOptions = {}): Promise<Observable<MessageEvent>> {
    const owner = this.misuse.ownerOf(options, SUBSCRIBE_OPTIONS);
    await this.readiness.wait();
    const state = await this.resolver.locate(ref, owner);
    const { lastSeq = 0, signal } = options;
    return this.streams.sse(state, { userId: owner, lastSeq, byKey: typeof ref === 'string', signal });
  }

  /**
   * Many tasks on one connection: those that are named, or all that match, new ones included; at most 100 at once, the newest first. Each
   * message has for its id where its client stands in all of them, which `@LastEventIds()` reads. Of a task whose history is gone `gap` is
   * sent, with what the task is now; of one that does not exist `missing`; the others go on.
   * @throws StreamEndedError when all that were named have ended and were told, NotFoundError when none exists, and the errors of `sse`.
   */
  sseMany(selection: TaskSelection, options: SseManyOptions = {}): Promise<Observable<MessageEvent>> {
    return this.selections.sse(selection, options);
  }

  /** What the task's present life ends with. @throws TaskFailedError, TaskCancelledError, NotFoundError; the signal's reason. */
  async result<R = any>(ref: TaskRef, options: OwnerOption & { signal?: AbortSignal | undefined } = {}): Promise<R> {
    const owner = this.misuse.ownerOf(options, ['signal']);
    await this.readiness.wait();
    this.lifecycle.awaited();
    return (await this.streams.result(await this.resolver.locate(ref, owner), options.signal)) as R;
  }

  /** Resolves once the request is durable: a waiting task is cancelled then, a running one ends `cancelled` soon. @throws ConflictError when it completed or failed before. */
  async cancel(ref: TaskRef, options: OwnerOption & { reason?: string | undefined } = {}): Promise<Task> {
    const owner = this.misuse.ownerOf(options, ['reason']);
    await this.readiness.wait();
    return this.shown(await this.cancellation.cancel(await this.resolver.require(ref, owner), options.reason));
  }

  /** Newest first. @throws ValidationError, RepositoryError. */
  async list(options: ListOptions = {}): Promise<Page<Task>> {
    const owner = this.misuse.ownerOf(options, LIST_OPTIONS);
    const { deadLettered } = options;
    const filter = taskFilterOf(options, owner);
    if (deadLettered !== undefined && typeof deadLettered !== 'boolean') throw new ValidationError('deadLettered', 'must be a boolean');
    if (deadLettered === true) return this.listDeadLetters(options, owner);
    await this.readiness.wait();
    const after = decodeCursor(options.cursor);
    const page = await this.tasks.page({
      limit: pageLimit(options.limit),
      ...filter,
      ...(after === undefined ? {} : { after }),
    });
    const count = (after?.count ?? 0) + page.items.length;
    const shown = page.items.map((state) => this.shown(state));
    const items = deadLettered === false ? shown.filter((task) => task.deadLetteredAt === null) : shown;
    return { items, nextCursor: page.next === null ? null : encodeCursor({ ...page.next, count }) };
  }

  getStats(): TaskSystemStats {
    return this.stats.read();
  }

  /** Refuses submits, lets running tasks finish, releases the rest without burning an attempt, ends streams, flushes, closes. Twice is once. @throws ValidationError, and goes on. */
  async shutdown(options: ShutdownOptions = {}): Promise<void> {
    await this.lifecycle.stop(checkedShutdown(options));
  }

  /** Dead letters have failed: with any other status there are none. */
  private async listDeadLetters({ status, name, tag, limit, cursor }: ListOptions, owner: Owner): Promise<Page<Task>> {
    if (status !== undefined && status !== 'failed') return { items: [], nextCursor: null };
    return this.deadLetters.list({ name, tag, limit, cursor, ...(owner === undefined ? {} : { userId: owner }) });
  }

  private async submitWhenReady(handler: Type<TaskHandler> | string, params: SubmitParams<unknown>): Promise<Task> {
    const { isInsideRun } = this.executor;
    await this.readiness.waitToAccept(isInsideRun);
    return await this.intake.submit(this.handlerOf(handler), params, isInsideRun);
  }

  private handlerOf(handler: Type<TaskHandler> | string): RegisteredHandler {
    if (typeof handler === 'string') return this.registry.require(handler);
    const known = typeof handler === 'function' ? this.registry.getByClass(handler) : undefined;
    if (known === undefined) throw new HandlerNotFoundError(nameOf(handler), this.registry.names());
    return known;
  }

  private shown(state: TaskState): Task {
    return this.deadLetters.visible(state);
  }
}

const nameOf = (handler: unknown): string => (typeof handler === 'function' ? handler.name : String(handler));
