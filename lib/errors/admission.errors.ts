import { TaskSystemError } from './task-system.error.js';

export type BackpressureLimit = 'global' | 'user' | 'queue' | 'run';

/** 429. `retryAfterMs` is exact for the windows (`global`, `user`), an estimate for `queue` and `run`. */
export class BackpressureError extends TaskSystemError {
  static override readonly kind: string = 'BackpressureError';
  constructor(
    readonly limit: BackpressureLimit,
    readonly retryAfterMs: number,
  ) {
    super('BACKPRESSURE', 429, `Refused by the ${limit} limit; retry in ${Math.ceil(retryAfterMs)} ms.`, { limit, retryAfterMs });
  }
}

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
