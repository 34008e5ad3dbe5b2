import type { TaskEventType } from '../contracts/task-event-type.js';

/** One event of a task: what `data` of an SSE message holds. */
export interface TaskMessage<P = any> {
  readonly seq: number;
  readonly type: TaskEventType;
  /** Only on `custom`. */
  readonly eventName?: string;
  readonly taskId: string;
  readonly attempt: number;
  /** Epoch ms. */
  readonly timestamp: number;
  readonly payload?: P;
}

/**
 * Why nothing more will come. `ended`: the task's last event was seen; `missing`: 404; `refused`: 400, 401, 403, another answer that a
 * repetition does not change, or an event over `maxEventLength`; `closed`: by the caller.
 */
export interface WatchEnd {
  readonly reason: 'ended' | 'missing' | 'refused' | 'closed';
  /** Status of the answer that ended it, where one did. */
  readonly status?: number;
  /** Position of the last event that was handed on. 0 for `watchTasks`, which has one per task: see `cursors`. */
  readonly lastSeq: number;
  /** Says what was wrong, where the status does not. */
  readonly error?: Error;
}

export type WatchStatus = 'connecting' | 'live' | 'waiting';
export interface WatchStatusDetail {
  /** With `waiting`: how long until the next connection. Left out while the page is hidden. Unit: ms. */
  readonly retryInMs?: number;
  /** With `waiting`: status of the last answer, if there was one. */
  readonly status?: number;
  /** With `waiting`: what was wrong with the last connection, if anything was. */
  readonly error?: Error;
}

interface CommonOptions<P> {
  /** Sent with every request, such as `authorization`. A function is asked again before every connection, so that its token is fresh. */
  headers?: Record<string, string> | (() => Record<string, string> | Promise<Record<string, string>>);
  /** Cookies: as of `fetch`. Default `'same-origin'`. */
  credentials?: 'omit' | 'same-origin' | 'include';
  /** Closes the watch when it aborts. */
  signal?: AbortSignal;
  /** Default: the global `fetch`. */
  fetch?: typeof fetch;
  /** Browsers: no connection while the page is hidden. Default false. */
  pauseWhenHidden?: boolean;
  /** A connection on which nothing came for so long, not even a keep-alive, is given up for a new one. Unit: ms. Default 60 s. */
  silenceMs?: number;
  /** A larger event ends the watch, as `refused`. Unit: characters. Default 8 Mi. */
  maxEventLength?: number;
  onEvent?(event: TaskMessage<P>): void;
  /** `connecting`: a request is on its way; `live`: events come; `waiting`: for the next connection. */
  onStatus?(status: WatchStatus, detail: WatchStatusDetail): void;
  onEnd?(end: WatchEnd): void;
}

export interface WatchOptions<P = any> extends CommonOptions<P> {
  /** Position of the last event that is known. Default 0: all events. */
  lastSeq?: number;
  /** History before `firstAvailableSeq` is gone; it goes on from there. */
  onGap?(gap: { readonly firstAvailableSeq: number }): void;
}

export interface WatchManyOptions<P = any> extends CommonOptions<P> {
  /** Position of the last event that is known, by task id. A task that is not named is told from its beginning. */
  cursors?: Record<string, number>;
  /** A task's history before `firstAvailableSeq` is gone; it goes on from there. `task` is what the task is now. */
  onGap?(gap: { readonly firstAvailableSeq: number; readonly taskId: string; readonly task: Readonly<Record<string, unknown>> }): void;
  /** A task that the endpoint was to follow does not exist, or no longer. */
  onMissing?(taskId: string): void;
}

/** `for await` takes events at its own pace: the connection is read no faster. Leaving the loop closes the watch. */
export interface TaskWatch<P = any> extends AsyncIterable<TaskMessage<P>> {
  /** Position of the last event that was handed on: where another watch may go on. */
  readonly lastSeq: number;
  /** Always resolves, never rejects. */
  readonly done: Promise<WatchEnd>;
  close(): void;
}

export interface TasksWatch<P = any> extends AsyncIterable<TaskMessage<P>> {
  /** Position of the last event that was handed on, by task id. */
  readonly cursors: Readonly<Record<string, number>>;
  readonly done: Promise<WatchEnd>;
  close(): void;
}
