import type { MessageEvent } from '@nestjs/common';
import type { Subscriber } from 'rxjs';
import type { Clock } from '../contracts/clock.interface.js';
import { CursorPump, type PumpSink } from './cursor-pump.js';
import { SseResponse, type SseResponseOptions } from './sse-response.js';
import type { StreamCursor } from './stream-cursor.js';

export interface SseStreamOptions extends SseResponseOptions {
  /** Where the client stands before the first message. */
  readonly lastSeq: number;
  /** What is added to the seq of an event to make its position, which is its id on the wire. */
  readonly base: number;
}

/** Characters per turn of the event loop, well below what Nest queues for a socket before it drops the client (4 Mi). */
export const BURST = 256 * 1024;
const POSITION = /^\d{1,16}$/;

/** The messages of one task. */
export class SseStream extends SseResponse<StreamCursor> {
  position: number;
  readonly startId: string;
  private readonly base: number;

  /** @param cursor opened already, used by the first subscription; @param openAgain for any other. */
  constructor(
    cursor: StreamCursor,
    private readonly openAgain: () => Promise<StreamCursor>,
    clock: Clock,
    options: SseStreamOptions,
  ) {
    super(cursor, clock, options);
    this.position = options.lastSeq;
    this.startId = String(options.lastSeq);
    this.base = options.base;
  }

  numberOf(id: string): number | undefined {
    return POSITION.test(id) ? Number(id) : undefined;
  }

  protected lastId(): string {
    return String(this.position);
  }

  protected reopen(): Promise<StreamCursor> {
    return this.openAgain();
  }

  protected pump(cursor: StreamCursor, subscriber: Subscriber<MessageEvent>): void {
    const pump = new CursorPump(cursor, this.sinkOf(subscriber), this.clock, BURST);
    this.onFlowing = () => pump.resume();
    subscriber.add(() => pump.close());
    pump.start();
  }

  private sinkOf(subscriber: Subscriber<MessageEvent>): PumpSink {
    const { base } = this;
    const comeBack = (seq: number): void => this.comeBack(subscriber, String(base + seq));
    return {
      isFull: () => !this.isFlowing,
      next: (entry) => {
        const position = base + (entry.seq ?? 0);
        this.position = Math.max(this.position, position);
        subscriber.next(base === 0 ? entry.message : { ...entry.message, id: String(position) });
      },
      end: (reason, seq) => (reason === 'cut' ? comeBack(seq) : subscriber.complete()),
      fail: (_error, seq) => comeBack(seq),
    };
  }
}
