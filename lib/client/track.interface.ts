import type { SseMessage } from './sse-parser.js';
import type { TaskMessage } from './watch.interface.js';

/** Where a watch stands, and what it makes of messages. */
export interface Track<P> {
  /** What is sent as `Last-Event-ID`; empty: nothing is known yet. */
  id(): string;
  /** The event in a message, if it is a new one. It is counted as seen. @throws for what cannot be read. */
  take(message: SseMessage): TaskMessage<P> | undefined;
  /** Goes on from `firstAvailableSeq`. False: that is no way forward. */
  skip(firstAvailableSeq: number): boolean;
  /** The last event that was seen is one after which the server ends the stream for good. */
  isOver(): boolean;
  position(): number;
  /** Something was seen. */
  readonly hasMoved: boolean;
  /** Back to where it began. */
  rewind(): void;
}
