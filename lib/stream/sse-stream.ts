import type { MessageEvent } from '@nestjs/common';
import { Observable, type Subscriber } from 'rxjs';
import type { Clock, Timer } from '../contracts/clock.interface.js';
import { callerContext } from '../primitives/async-context.js';
import { completeOnAbort } from './abort-signal.js';
import type { TaskMessages } from '../contracts/task-messages.interface.js';
import { CursorPump, type PumpSink } from './cursor-pump.js';
import { KEEP_ALIVE, retryHint } from './sse-message.js';
import type { StreamCursor } from './stream-cursor.js';

export interface SseStreamOptions {
  /** Where the client stands before the first message. */
  readonly lastSeq: number;
  /** What is added to the seq of an event to make its position, which is its id on the wire. */
  readonly base: number;
  readonly keepAliveMs: number;
  /** What clients are told to wait before they come back. */
  readonly retryMs: number;
  readonly signal: AbortSignal | undefined;
}

/** Characters per turn of the event loop, well below what Nest queues for a socket before it drops the client (4 Mi). */
const BURST = 256 * 1024;
/** Nest subscribes at once, or never, when the client left while its stream was prepared: then its place is given up after this. */
const SUBSCRIBE_WITHIN_MS = 1_000;

/**
 * The messages of one SSE response. All refusals were made before; once events flow it never errors, since Nest would send
 * that as an event with an invented id: it ends with a `retry:` hint, the client comes back and is refused properly.
 */
export class SseStream extends Observable<MessageEvent> implements TaskMessages {
  position: number;
  isTaken = false;
  onTaken: (() => void) | undefined;
  private prepared: StreamCursor | undefined;
  private expiry: Timer | undefined;
  private readonly expire = (): void => this.takePrepared()?.close();

  /** @param cursor opened already, used by the first subscription; @param reopen for any other. */
  constructor(
    cursor: StreamCursor,
    private readonly reopen: () => Promise<StreamCursor>,
    private readonly clock: Clock,
    private readonly options: SseStreamOptions,
  ) {
    super((subscriber) => this.deliver(subscriber));
    this.position = options.lastSeq;
    this.prepared = cursor;
    this.expiry = clock.after(SUBSCRIBE_WITHIN_MS, this.expire);
    options.signal?.addEventListener('abort', this.expire, { once: true });
    if (options.signal?.aborted === true) this.expire();
  }

  hint(position: number): MessageEvent {
    return retryHint(position, this.options.retryMs);
  }

  private takePrepared(): StreamCursor | undefined {
    const cursor = this.prepared;
    this.prepared = undefined;
    this.expiry?.cancel();
    this.options.signal?.removeEventListener('abort', this.expire);
    return cursor;
  }

  private deliver(subscriber: Subscriber<MessageEvent>): void {
    const { signal } = this.options;
    const cursor = this.takePrepared();
    this.isTaken = true;
    this.onTaken?.();
    if (signal?.aborted === true) {
      cursor?.close();
      return subscriber.complete();
    }
    completeOnAbort(subscriber, signal);
    if (cursor !== undefined) return this.pump(cursor, subscriber);
    this.reopen().then(
      (reopened) => this.pump(reopened, subscriber),
      // The headers may be out by now: the client is refused when it comes back.
      () => this.comeBack(subscriber, this.options.lastSeq),
    );
  }

  private pump(cursor: StreamCursor, subscriber: Subscriber<MessageEvent>): void {
    const pump = new CursorPump(cursor, this.sinkOf(subscriber), this.clock, BURST);
    subscriber.add(() => pump.close());
    if (subscriber.closed) return;
    this.keepAlive(subscriber);
    pump.start();
  }

  private keepAlive(subscriber: Subscriber<MessageEvent>): void {
    let timer: Timer;
    const reader = callerContext();
    const arm = (): void => {
      timer = this.clock.after(this.options.keepAliveMs, () => {
        arm();
        // Interceptors of the route see it too.
        reader.runInAsyncScope(() => subscriber.next(KEEP_ALIVE));
      });
    };
    arm();
    subscriber.add(() => timer.cancel());
  }

  private sinkOf(subscriber: Subscriber<MessageEvent>): PumpSink {
    const { base } = this.options;
    return {
      next: (entry) => {
        const position = base + (entry.seq ?? 0);
        this.position = Math.max(this.position, position);
        subscriber.next(base === 0 ? entry.message : { ...entry.message, id: String(position) });
      },
      end: (reason, seq) => (reason === 'cut' ? this.comeBack(subscriber, base + seq) : subscriber.complete()),
      fail: (_error, seq) => this.comeBack(subscriber, base + seq),
    };
  }

  private comeBack(subscriber: Subscriber<MessageEvent>, position: number): void {
    subscriber.next(this.hint(position));
    subscriber.complete();
  }
}
