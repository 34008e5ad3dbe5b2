import { TaskSystemError } from './task-system.error.js';

/** 410. The events after `requestedSeq` are gone: start over from `firstAvailableSeq - 1`. */
export class StreamOverflowError extends TaskSystemError {
  static override readonly kind: string = 'StreamOverflowError';
  constructor(
    readonly requestedSeq: number,
    readonly firstAvailableSeq: number,
  ) {
    super('STREAM_OVERFLOW', 410, `Events after ${requestedSeq} are gone; the first one available is ${firstAvailableSeq}.`, {
      requestedSeq,
      firstAvailableSeq,
    });
  }
}

/** 204: nothing after `lastSeq` will come. An EventSource that is answered 204 stops reconnecting (WHATWG HTML 9.2.3). */
export class StreamEndedError extends TaskSystemError {
  static override readonly kind: string = 'StreamEndedError';
  constructor(readonly lastSeq: number) {
    super('STREAM_ENDED', 204, `The task has ended; nothing comes after ${lastSeq}.`);
  }
}

/** 429. One more subscriber would pass a limit of `stream`. */
export class SubscriberLimitError extends TaskSystemError {
  static override readonly kind: string = 'SubscriberLimitError';
  constructor(
    readonly limit: 'task' | 'user' | 'global',
    readonly retryAfterMs: number,
  ) {
    super('SUBSCRIBER_LIMIT', 429, `Too many subscribers (${limit} limit); retry in ${retryAfterMs} ms.`, { limit, retryAfterMs });
  }
}
