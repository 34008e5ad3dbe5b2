import type { MessageEvent } from '@nestjs/common';
import type { TaskMessages } from '../contracts/task-messages.interface.js';
import type { RawResponse } from './client-presence.js';
import type { ByteSink, SseWire } from './sse-wire.js';
import { ownMessageIn } from './own-message.js';

/** What Nest writes an SSE response with, in all versions from 11.2.0 on. */
interface MessageWriter {
  writeMessage(message: MessageEvent, done: (error?: unknown) => void): void;
  commitHeaders(): void;
  end(...args: unknown[]): unknown;
  unpipe(destination: unknown): unknown;
  readonly writableEnded?: boolean;
}
interface PipedResponse extends RawResponse, Omit<ByteSink, 'on'> {
  on(event: 'pipe' | 'unpipe' | 'drain' | 'close', listener: (source?: unknown) => void): unknown;
}

const LOST = 'a message came without the id of its event: does an interceptor map what the stream emits?';

const isWriter = (source: unknown): source is MessageWriter =>
  typeof source === 'object' &&
  source !== null &&
  ['writeMessage', 'commitHeaders', 'end', 'unpipe'].every((name) => typeof Reflect.get(source, name) === 'function');

/**
 * The last place that a message passes: behind every interceptor, where Nest writes the response. Nest invents an id for a message that has
 * none, and for its own message about an error; it counts from one, and the client takes the id over: asked to resume, it would be shown
 * events again, or miss some. Invariant: an id goes out only if it is the id of a message that this stream has handed out, in order.
 *
 * Nest sends the headers in the next turn of the event loop, when an interceptor or a pipe that waits for something has not let the
 * request through yet, and its refusal could no longer have a status. Here they wait until the stream is taken.
 */
export class SseOutlet {
  /** Number and id of the last message that was written. */
  private written: number;
  private writtenId: string;
  private isOver = false;
  /** Why it is over, until that is told. */
  private why: string | undefined;
  private isPiped = false;
  private isCommitted = false;
  private isCommitDue = false;
  /** A message without an id came while events of ours were on their way: an interceptor's own, or one of these that lost its id. */
  private isInDoubt = false;

  /** @param onBroken told, once, why the stream had to be ended. */
  constructor(
    private readonly messages: TaskMessages,
    private readonly wire: SseWire,
    private readonly onBroken: (why: string) => void,
  ) {
    this.written = messages.position;
    this.writtenId = messages.startId;
  }

  /** From the moment that Nest connects its writer to the response. Any other source is left alone. */
  watch(response: PipedResponse): void {
    response.on('pipe', (source) => {
      if (!isWriter(source)) return;
      this.isPiped = true;
      this.wrap(source, response);
    });
    response.on('unpipe', () => (this.isPiped = false));
  }

  private wrap(writer: MessageWriter, response: PipedResponse): void {
    const out = this.wire.connect(response, (isOpen) => this.messages.flow(isOpen));
    const commit = writer.commitHeaders.bind(writer);
    const end = writer.end.bind(writer);
    const open = (): void => {
      this.isCommitted = true;
      commit();
    };
    writer.commitHeaders = () => {
      this.isCommitDue = true;
      if (this.isCommitted || this.messages.isTaken) open();
    };
    this.messages.onTaken = () => {
      if (this.isCommitDue) open();
    };
    const send = (message: MessageEvent, done: () => void): void => {
      // Nest writes to it until it is told to stop, and what is written behind the end is an error that nobody hears.
      if (writer.writableEnded === true) return process.nextTick(done);
      if (!this.isCommitted) open(); // a message brings its headers with it
      // Past Nest's own stream, which has a queue for each client, and formats every message for each of them again.
      out.send(message);
      done();
      if (!this.isOver) return;
      out.flush();
      end(); // an interceptor may go on for ever with what is its own
      this.tell(); // only now, since whoever is told completes the stream, and Nest then ends the response
    };
    const settle = (): void => {
      if (this.isInDoubt && !this.isOver) send(this.breakOff(LOST), () => undefined);
    };
    writer.writeMessage = (message, done) => {
      const fit = this.fit(message);
      if (fit !== undefined) return send(fit, done);
      // Nest hands on at once what waits behind this message: an event of ours that proves it an addition comes in this turn or the next.
      if (this.isInDoubt) setImmediate(() => setImmediate(settle));
      process.nextTick(done);
    };
    writer.end = (...args) => {
      settle();
      out.flush();
      // It ends before anything was sent: either an error, which an exception filter is about to answer, or a stream without a message.
      if (!this.isCommitted && !this.messages.isTaken && this.isPiped) {
        writer.unpipe(response);
        setImmediate(() => {
          if (response.headersSent === true || response.writableEnded === true) return;
          open();
          response.end();
        });
      }
      return end(...args);
    };
  }

  /** What is written in place of a message that came through the interceptors; undefined: nothing. */
  private fit(message: MessageEvent): MessageEvent | undefined {
    if (this.isOver) return undefined;
    const own = ownMessageIn(message, (id) => this.messages.numberOf(id) !== undefined);
    if (own === undefined) return this.fitForeign(message);
    if (own.id === undefined) return own;
    const number = this.messages.numberOf(own.id) as number;
    if (number > this.messages.position || !this.messages.isTaken)
      return this.breakOff(`a message with id ${own.id} came, which this stream has not sent: does an interceptor answer from a cache?`);
    if (own.retry !== undefined) return own;
    if (number <= this.written) return undefined; // shown already, as to an interceptor that subscribes again
    this.written = number;
    this.writtenId = own.id;
    this.isInDoubt = false;
    return own;
  }

  private fitForeign(message: MessageEvent): MessageEvent | undefined {
    if (message.type === 'error')
      return this.breakOff(`it ended in an error: ${typeof message.data === 'string' ? message.data : 'no text'}`);
    if (message.id !== undefined && message.id !== null) return this.breakOff(LOST);
    // Nothing of ours is on its way: an interceptor added it, and it leaves the client where it is. Else it is left out.
    if (this.written === this.messages.position) return { ...message, id: this.writtenId };
    this.isInDoubt = true;
    return undefined;
  }

  private breakOff(why: string): MessageEvent {
    this.isOver = true;
    this.why = why;
    return this.messages.hint(this.writtenId);
  }

  private tell(): void {
    const { why } = this;
    this.why = undefined;
    if (why !== undefined) this.onBroken(why);
  }
}
