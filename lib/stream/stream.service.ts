import { Inject, Injectable, type MessageEvent } from '@nestjs/common';
import type { Observable } from 'rxjs';
import type { TaskflowOptions } from '../config/taskflow.options.js';
import { CLOCK, CHANGE_FEED, TASK_QUERIES, TASKFLOW_OPTIONS, TELEMETRY } from '../config/taskflow.tokens.js';
import type { Clock } from '../contracts/clock.interface.js';
import type { TaskStream } from '../contracts/task-event.interface.js';
import type { ChangeFeed } from '../contracts/change-feed.interface.js';
import type { TaskHistory } from '../contracts/task-history.interface.js';
import type { Telemetry } from '../contracts/telemetry.interface.js';
import type { TaskState } from '../domain/task-state.js';
import { StreamEndedError } from '../errors/stream.errors.js';
import { checkSignal, isSignal } from './abort-signal.js';
import { ChannelRegistry } from './channel-registry.js';
import { baseOf, checkLastSeq, CursorOpener, type CursorRequest } from './cursor-opener.js';
import type { SseResponseOptions } from './sse-response.js';
import { SseStream } from './sse-stream.js';
import type { StreamCursor } from './stream-cursor.js';
import { type SubscriberLease, SubscriberQuota } from './subscriber-quota.js';
import { TaskEventStream } from './task-event-stream.js';
import { resultOf } from './task-result.js';

export interface OpenStreamOptions {
  /** Who listens: counted against `stream.maxSubscribersPerUser`. What may be read is decided by who calls. */
  readonly userId: string | null | undefined;
  /** Position of the last event that the subscriber has; 0 for none. */
  readonly lastSeq: number;
  /** Whether the task was named by its key: see `CursorRequest`. Default false: positions are the task's own seq. */
  readonly byKey?: boolean | undefined;
  /** Ends the stream, without an error. */
  readonly signal?: AbortSignal | undefined;
  /** False leaves out what is shown live only (heartbeats). Default true. */
  readonly live?: boolean | undefined;
}

/** Long enough for sockets to be flushed and closed; Nest waits 5 s for those that are not. */
const DRAIN_MS = 25;
/** Clients are asked back after 2 to 3 s, spread evenly, so that a deployment does not call them all back at once. */
const RETRY_BASE_MS = 2_000;
const RETRY_SPREAD_MS = 1_000;
const RETRY_STEP_MS = 137;
/** Streams that began together, as after a start, do not end together. */
const MAX_AGE_SPREAD = 0.1;

/** Delivery: committed events to subscribers, in order, once each, from memory or history alike. */
@Injectable()
export class StreamService {
  private readonly channels: ChannelRegistry;
  private readonly quota: SubscriberQuota;
  private readonly opener: CursorOpener;
  private isStarted = false;
  private sseCount = 0;
  private stopping: Promise<void> | undefined;

  constructor(
    @Inject(TASKFLOW_OPTIONS) private readonly options: TaskflowOptions,
    @Inject(CLOCK) private readonly clock: Clock,
    @Inject(CHANGE_FEED) private readonly feed: ChangeFeed,
    @Inject(TASK_QUERIES) private readonly history: TaskHistory,
    @Inject(TELEMETRY) private readonly telemetry: Telemetry,
  ) {
    const { stream } = options;
    this.quota = new SubscriberQuota(stream);
    const registry = {
      bufferSize: stream.streamBufferSize,
      exposesErrors: stream.exposeErrorMessages,
      retentionMs: stream.streamRetentionMs,
      maxIdle: stream.maxSubscribers,
    };
    this.channels = new ChannelRegistry(registry, clock, history, feed);
    this.opener = new CursorOpener(this.channels, this.quota, clock);
  }

  /** Begins to listen to committed facts; before any of them is made. Twice is once. */
  start(): void {
    if (this.isStarted) return;
    this.isStarted = true;
    this.feed.onCommitted((facts) => this.channels.committed(facts));
    this.feed.onHalted(() => {
      if (this.stopping === undefined) this.channels.cutOff('halted');
    });
    this.telemetry.gauge('taskflow.streams.active', () => this.quota.tasks);
  }

  /**
   * Events after `lastSeq`. Cold: each subscription and each iterator resolves the task, is counted, and reads for itself.
   * Errors reach that consumer: what `resolve` rejects with; ValidationError (`lastSeq`, `signal`); SubscriberLimitError;
   * StreamOverflowError; RepositoryError when it cannot be known what comes next; ShuttingDownError.
   */
  open(resolve: () => Promise<TaskState>, options: OpenStreamOptions): TaskStream {
    const { signal } = options;
    const request: CursorRequest = {
      userId: options.userId,
      lastSeq: options.lastSeq,
      byKey: options.byKey ?? false,
      heartbeats: options.live ?? true,
    };
    const openCursor = async (): Promise<StreamCursor> => {
      checkLastSeq(request.lastSeq);
      checkSignal(signal);
      return this.opener.open(await resolve(), request);
    };
    return new TaskEventStream(openCursor, this.clock, isSignal(signal) ? signal : undefined);
  }

  /**
   * The same as messages for `@Sse()`. Whatever is to be refused is refused before this resolves, hence before the headers.
   * @throws StreamEndedError at or past the head of an ended task, and the errors of `open`.
   */
  async sse(task: TaskState, options: OpenStreamOptions): Promise<Observable<MessageEvent>> {
    const { lastSeq, signal } = options;
    checkSignal(signal);
    const request: CursorRequest = { userId: options.userId, lastSeq, byKey: options.byKey ?? false, heartbeats: false };
    const open = (): Promise<StreamCursor> => this.opener.open(task, request);
    const cursor = await open();
    if (cursor.state === 'ended') {
      cursor.close();
      throw new StreamEndedError(lastSeq);
    }
    return new SseStream(cursor, open, this.clock, { lastSeq, base: baseOf(task, request), ...this.responseOptions(signal) });
  }

  /** A place for one who follows many tasks, and cursors of them. @throws SubscriberLimitError, ShuttingDownError */
  admit(userId: string | null | undefined): SubscriberLease {
    this.opener.assertRunning();
    return this.quota.takeConnection(userId);
  }
  openMember(task: TaskState, lastSeq: number): Promise<StreamCursor> {
    return this.opener.openMember(task, lastSeq);
  }

  /** Of one more SSE response. */
  responseOptions(signal: AbortSignal | undefined): SseResponseOptions {
    this.sseCount += 1;
    const { keepAliveMs, maxAgeMs } = this.options.stream;
    const spread = (this.sseCount * RETRY_STEP_MS) % RETRY_SPREAD_MS;
    return {
      keepAliveMs,
      maxAgeMs: maxAgeMs - Math.floor((maxAgeMs * MAX_AGE_SPREAD * spread) / RETRY_SPREAD_MS),
      retryMs: RETRY_BASE_MS + spread,
      signal,
    };
  }

  /**
   * What the life that `task` is in ends with: resolves with its result.
   * @throws ValidationError (`signal`); TaskFailedError, TaskCancelledError; the signal's reason; ShuttingDownError when this process will not see the end;
   * NotFoundError or StreamOverflowError when the end is gone already; RepositoryError.
   */
  result(task: TaskState, signal?: AbortSignal): Promise<unknown> {
    return resultOf(task, (lastSeq) => this.opener.openUncounted(task, lastSeq), this.history, signal);
  }

  /** `active`: tasks that are listened to; `subscribers`: all of them together. */
  stats(): { readonly active: number; readonly subscribers: number } {
    return { active: this.quota.tasks, subscribers: this.quota.total };
  }

  /** New subscribers are refused from now on; those who listen stay. */
  refuse(): void {
    this.opener.stop();
  }

  /** Ends every stream, SSE with a `retry:` hint, and waits for their sockets to drain. New subscribers are refused. Twice is once. */
  stop(): Promise<void> {
    this.stopping ??= this.end();
    return this.stopping;
  }

  private async end(): Promise<void> {
    this.refuse();
    this.channels.cutOff('stopping');
    // No SSE, no sockets: nothing to wait for.
    if (this.sseCount > 0) await new Promise<void>((resolve) => this.clock.after(DRAIN_MS, resolve, true));
  }
}
