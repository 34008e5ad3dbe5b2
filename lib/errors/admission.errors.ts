import { TaskSystemError } from './task-system.error.js';

/** `slot`: submits that wait for a slot (`waitForSlot`); `run`: entries of one run that are not durable yet. */
export type BackpressureLimit = 'global' | 'user' | 'queue' | 'delayed' | 'slot' | 'run';

/**
 * 429. `retryAfterMs` is exact for the windows (`global`, `user`), an estimate for `queue`, `slot` and `run`, and left out where no
 * number can be right: for `delayed`, in a process that runs nothing, and for a batch that is larger than the limit.
 */
export class BackpressureError extends TaskSystemError {
  static override readonly kind: string = 'BackpressureError';
  /** Unit: ms. */
  readonly retryAfterMs?: number;
  constructor(
    readonly limit: BackpressureLimit,
    retryAfterMs?: number,
  ) {
    const data = retryAfterMs === undefined ? { limit } : { limit, retryAfterMs };
    super('BACKPRESSURE', 429, `Refused by the ${limit} limit; ${adviceOf(retryAfterMs)}.`, data);
    if (retryAfterMs !== undefined) this.retryAfterMs = retryAfterMs;
  }
}

const adviceOf = (retryAfterMs: number | undefined): string =>
  retryAfterMs === undefined ? 'when there will be room is not known' : `retry in ${Math.ceil(retryAfterMs)} ms`;

/** 503, from `submit({ waitForSlot: true })` only: no execution slot came free in time. Nothing was created. */
export class SlotTimeoutError extends TaskSystemError {
  static override readonly kind: string = 'SlotTimeoutError';
  constructor(
    readonly timeoutMs: number,
    readonly retryAfterMs: number,
  ) {
    super('SLOT_TIMEOUT', 503, `No execution slot came free within ${timeoutMs} ms; nothing was created. Retry in ${retryAfterMs} ms.`);
  }
}

/** 503. The process is going down; another one, or this one after its restart, will answer. */
export class ShuttingDownError extends TaskSystemError {
  static override readonly kind: string = 'ShuttingDownError';
  constructor(readonly retryAfterMs: number = 1000) {
    super('SHUTTING_DOWN', 503, 'The task system is shutting down; retry in a moment.');
  }
}
