import { asError, orAborted } from './aborted.js';
import { EventQueue } from './event-queue.js';
import type { WatchPorts } from './ports.js';
import { retryAfterMs, retryDelay } from './retry-delay.js';
import { EventTooLong, type SseMessage, sseParser } from './sse-parser.js';
import type { Track } from './track.interface.js';
import type { TaskMessage, WatchEnd, WatchOptions, WatchStatus, WatchStatusDetail } from './watch.interface.js';

/** Why a connection is over. */
interface Failure {
  readonly status?: number;
  readonly error?: Error;
  readonly atLeastMs?: number;
}

const SILENCE_MS = 60_000;
const MAX_EVENT_LENGTH = 8 * 1024 * 1024;
/** Events that wait for `for await` before the connection is read on. */
const QUEUE_LENGTH = 100;
/** A connection that held for so long was a good one, though no event came on it. */
const STEADY_MS = 10_000;
/** Answers of 4xx that say "later". */
const LATER: readonly number[] = [408, 425, 429];

/** Connects, reads, and connects again, until there is nothing more to come. */
export class Follower<P> {
  readonly done: Promise<WatchEnd>;
  private settle!: (end: WatchEnd) => void;
  private end: WatchEnd | undefined;
  private queue: EventQueue<TaskMessage<P>> | undefined;
  private connection = new AbortController();
  /** Ends the present wait. */
  private wake: (() => void) | undefined;
  /** What is waited for has come when the page is shown, or the network is back: the server did not say how long to wait. */
  private mayHurry = false;
  private isRestarting = false;
  private failures = 0;
  private hintMs = 0;
  /** The server asked the client to come back, after the last event. */
  private isHinted = false;
  private readonly unlisten: () => void;

  constructor(
    private readonly url: string | URL,
    private readonly options: Omit<WatchOptions<P>, 'lastSeq' | 'onGap'>,
    private readonly track: Track<P>,
    private readonly ports: WatchPorts,
  ) {
    this.done = new Promise((resolve) => (this.settle = resolve));
    const { signal } = options;
    const close = (): void => this.close();
    signal?.addEventListener('abort', close);
    const unlisten = ports.onChange(() => this.surroundingsChanged());
    this.unlisten = () => {
      unlisten();
      signal?.removeEventListener('abort', close);
    };
    // Not before the caller has the watch in hand.
    queueMicrotask(() => (signal?.aborted === true ? close() : void this.run()));
  }

  close(): void {
    this.finish({ reason: 'closed' });
  }

  /** One queue for all who iterate. What was seen before anybody asked for it is read again, unless `onEvent` had it. */
  iterate(): AsyncIterator<TaskMessage<P>> {
    if (this.queue === undefined) {
      this.queue = new EventQueue(QUEUE_LENGTH, () => this.close());
      if (this.end !== undefined) this.queue.end();
      else if (this.options.onEvent === undefined && this.track.hasMoved) this.restart();
    }
    return this.queue;
  }

  private restart(): void {
    this.track.rewind();
    this.reconnect();
    this.wake?.();
  }

  private reconnect(): void {
    this.isRestarting = true;
    this.connection.abort();
  }

  private async run(): Promise<void> {
    while (this.end === undefined) {
      if (this.isPaused) {
        this.mayHurry = true;
        this.say('waiting', {});
        await this.sleep();
        continue;
      }
      this.say('connecting', {});
      const { atLeastMs = 0, ...failure } = await this.connect();
      if (this.end !== undefined) return;
      if (this.isRestarting) {
        this.isRestarting = false;
        continue;
      }
      const retryInMs = retryDelay(this.failures++, Math.max(this.hintMs, atLeastMs), () => this.ports.random());
      this.mayHurry = failure.status === undefined;
      this.say('waiting', { ...failure, retryInMs });
      await this.sleep(retryInMs);
    }
  }

  private async connect(): Promise<Failure> {
    const connection = (this.connection = new AbortController());
    const { signal } = connection;
    const { fetch = globalThis.fetch, headers, credentials = 'same-origin', silenceMs = SILENCE_MS } = this.options;
    let stopSilence = (): void => undefined;
    const heard = (): void => {
      stopSilence();
      stopSilence = this.ports.after(silenceMs, () => connection.abort(new Error(`Nothing came for ${silenceMs} ms.`)));
    };
    try {
      heard();
      const own = typeof headers === 'function' ? await orAborted(signal, headers()) : headers;
      const id = this.track.id();
      // `cache` is known to browsers only, and so to their types.
      const init: RequestInit & { cache: string } = {
        headers: { accept: 'text/event-stream', ...(id === '' ? {} : { 'last-event-id': id }), ...own },
        credentials,
        cache: 'no-store',
        signal,
      };
      const response = await orAborted(signal, fetch(this.url, init));
      return await this.answered(response, signal, heard, () => stopSilence());
    } catch (error) {
      return { error: asError(signal.reason ?? error) };
    } finally {
      stopSilence();
      connection.abort();
    }
  }

  private async answered(response: Response, signal: AbortSignal, heard: () => void, pause: () => void): Promise<Failure> {
    const { status, headers, body } = response;
    const type = headers.get('content-type') ?? 'nothing';
    if (status === 200 && body !== null && /^text\/event-stream\b/i.test(type)) return this.read(body, signal, heard, pause);
    if (status === 204) return this.finish({ reason: 'ended', status });
    if (status === 404) return this.finish({ reason: 'missing', status });
    if (status === 410) {
      const first = /"firstAvailableSeq":\s*(\d+)/.exec(await orAborted(signal, response.text()))?.[1];
      if (this.track.skip(Number(first))) {
        this.isRestarting = true;
        return { status };
      }
    }
    if (status >= 400 && status < 500 && !LATER.includes(status)) return this.finish({ reason: 'refused', status });
    const error = new Error(status < 300 ? `No event stream was sent, but ${type}.` : `The server answered ${status}.`);
    return { status, error, atLeastMs: retryAfterMs(headers.get('retry-after'), this.ports.now()) };
  }

  private async read(body: ReadableStream<Uint8Array>, signal: AbortSignal, heard: () => void, pause: () => void): Promise<Failure> {
    const reader = body.getReader();
    const decoder = new TextDecoder();
    const parse = sseParser(
      {
        onRetry: (ms) => {
          this.hintMs = ms;
          this.isHinted = true;
        },
        onMessage: (message) => signal.aborted || this.take(message),
      },
      this.options.maxEventLength ?? MAX_EVENT_LENGTH,
    );
    const stopSteady = this.ports.after(STEADY_MS, () => (this.failures = 0));
    this.say('live', {});
    try {
      for (;;) {
        const { done, value } = await orAborted(signal, reader.read());
        if (done) break;
        parse(decoder.decode(value, { stream: true }));
        pause();
        await this.queue?.room();
        heard();
      }
    } catch (error) {
      if (!(error instanceof EventTooLong)) throw error;
      return this.finish({ reason: 'refused', error });
    } finally {
      stopSteady();
    }
    return this.track.isOver() && !this.isHinted ? this.finish({ reason: 'ended' }) : { status: 200 };
  }

  private take(message: SseMessage): void {
    const event = this.track.take(message);
    this.failures = 0;
    if (event === undefined) return;
    this.isHinted = false;
    this.call(() => this.options.onEvent?.(event));
    this.queue?.push(event);
  }

  private finish(end: Omit<WatchEnd, 'lastSeq'>): Failure {
    if (this.end !== undefined) return {};
    const whole = (this.end = { ...end, lastSeq: this.track.position() });
    this.unlisten();
    this.connection.abort();
    this.wake?.();
    this.queue?.end();
    this.call(() => this.options.onEnd?.(whole));
    this.settle(whole);
    return {};
  }

  private get isPaused(): boolean {
    return this.options.pauseWhenHidden === true && this.ports.isHidden();
  }

  private surroundingsChanged(): void {
    if (this.isPaused) this.reconnect();
    else if (this.mayHurry) this.wake?.();
  }

  private sleep(ms?: number): Promise<void> {
    return new Promise((resolve) => {
      const cancel = ms === undefined ? undefined : this.ports.after(ms, () => this.wake?.());
      this.wake = () => {
        this.wake = undefined;
        cancel?.();
        resolve();
      };
    });
  }

  private say(status: WatchStatus, detail: WatchStatusDetail): void {
    this.call(() => this.options.onStatus?.(status, detail));
  }

  /** What a callback throws is told as any error that nobody caught, and the watch goes on. */
  call(callback: () => void): void {
    try {
      callback();
    } catch (error) {
      const { reportError } = globalThis as { reportError?: (error: unknown) => void };
      if (reportError !== undefined) reportError(error);
      else
        queueMicrotask(() => {
          throw error;
        });
    }
  }
}
