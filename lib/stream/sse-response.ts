import type { MessageEvent } from '@nestjs/common';
import { Observable, type Subscriber } from 'rxjs';
import type { Clock, Timer } from '../contracts/clock.interface.js';
import type { TaskMessages } from '../contracts/task-messages.interface.js';
import { callerContext } from '../primitives/async-context.js';
import { completeOnAbort } from './abort-signal.js';
import { KEEP_ALIVE, retryHint } from './sse-message.js';

export interface SseResponseOptions {
  readonly keepAliveMs: number;
  /** After which the client is asked to come back, so that whether it may still listen is looked at again. */
  readonly maxAgeMs: number;
  /** What clients are told to wait before they come back. */
  readonly retryMs: number;
  readonly signal: AbortSignal | undefined;
}

/** What was opened before the headers, for the first subscription. */
interface Prepared {
  close(): void;
}

/** Nest subscribes at once, or never, when the client left while its stream was prepared: then its place is given up after this. */
const SUBSCRIBE_WITHIN_MS = 1_000;

/**
 * The messages of one SSE response. All refusals were made before; once events flow it never errors, since Nest would send
 * that as an event with an invented id: it ends with a `retry:` hint, the client comes back and is refused properly.
 */
export abstract class SseResponse<P extends Prepared> extends Observable<MessageEvent> implements TaskMessages {
  isTaken = false;
  onTaken: (() => void) | undefined;
  /** The connection takes more. */
  protected isFlowing = true;
  /** Called when it does again. */
  protected onFlowing: (() => void) | undefined;
  private prepared: P | undefined;
  private expiry: Timer | undefined;
  private readonly expire = (): void => this.takePrepared()?.close();

  constructor(
    prepared: P,
    protected readonly clock: Clock,
    protected readonly options: SseResponseOptions,
  ) {
    super((subscriber) => this.deliver(subscriber));
    this.prepared = prepared;
    this.expiry = clock.after(SUBSCRIBE_WITHIN_MS, this.expire);
    options.signal?.addEventListener('abort', this.expire, { once: true });
    if (options.signal?.aborted === true) this.expire();
  }

  abstract readonly position: number;
  abstract readonly startId: string;
  abstract numberOf(id: string): number | undefined;
  /** Id of the newest message that was handed out. */
  protected abstract lastId(): string;
  /** For a subscription that is not the first one. */
  protected abstract reopen(): Promise<P>;
  /** Hands messages on until the subscriber is closed; closes what was prepared. */
  protected abstract pump(prepared: P, subscriber: Subscriber<MessageEvent>): void;

  flow(isOpen: boolean): void {
    this.isFlowing = isOpen;
    if (isOpen) this.onFlowing?.();
  }

  hint(id: string): MessageEvent {
    return retryHint(id, this.options.retryMs);
  }

  protected comeBack(subscriber: Subscriber<MessageEvent>, id = this.lastId()): void {
    subscriber.next(this.hint(id));
    subscriber.complete();
  }

  private takePrepared(): P | undefined {
    const { prepared } = this;
    this.prepared = undefined;
    this.expiry?.cancel();
    this.options.signal?.removeEventListener('abort', this.expire);
    return prepared;
  }

  private deliver(subscriber: Subscriber<MessageEvent>): void {
    const { signal } = this.options;
    const prepared = this.takePrepared();
    this.isTaken = true;
    this.onTaken?.();
    if (signal?.aborted === true) {
      prepared?.close();
      return subscriber.complete();
    }
    completeOnAbort(subscriber, signal);
    if (prepared !== undefined) return this.start(prepared, subscriber);
    this.reopen().then(
      (reopened) => this.start(reopened, subscriber),
      // The headers may be out by now: the client is refused when it comes back.
      () => this.comeBack(subscriber, this.startId),
    );
  }

  private start(prepared: P, subscriber: Subscriber<MessageEvent>): void {
    if (subscriber.closed) return prepared.close();
    this.keepTime(subscriber);
    this.pump(prepared, subscriber);
  }

  private keepTime(subscriber: Subscriber<MessageEvent>): void {
    const { keepAliveMs, maxAgeMs } = this.options;
    let timer: Timer;
    const reader = callerContext();
    const endsAt = this.clock.monotonic() + maxAgeMs;
    const arm = (): void => {
      const leftMs = endsAt - this.clock.monotonic();
      timer = this.clock.after(Math.min(keepAliveMs, leftMs), () => {
        if (this.clock.monotonic() >= endsAt) return reader.runInAsyncScope(() => this.comeBack(subscriber));
        arm();
        // Interceptors of the route see it too.
        if (this.isFlowing) reader.runInAsyncScope(() => subscriber.next(KEEP_ALIVE));
      });
    };
    arm();
    subscriber.add(() => timer.cancel());
  }
}
