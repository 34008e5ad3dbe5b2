import type { MessageEvent } from '@nestjs/common';
import type { Observable } from 'rxjs';
import type { SseManyOptions, SubscribeOptions, TaskRef, TaskSelection } from './task-system.interface.js';

/** The messages of one SSE response, and where its client stands. */
export interface TaskMessages extends Observable<MessageEvent> {
  /** Number of the newest message that was handed out, as `numberOf` its id; before the first one, of where the client stood when it came. */
  readonly position: number;
  /** What the client would send as `Last-Event-ID` before the first message. */
  readonly startId: string;
  /** Somebody takes the messages: whatever surrounds the route has let the request through. */
  readonly isTaken: boolean;
  /** Called when that happens. */
  onTaken: (() => void) | undefined;
  /** Grows from message to message. Undefined: no id of this kind of stream. */
  numberOf(id: string): number | undefined;
  /** False: the connection takes no more for now, so nothing is handed out until it is told otherwise. */
  flow(isOpen: boolean): void;
  /** Asks the client to come back, for what follows the message with this id. */
  hint(id: string): MessageEvent;
}

/** Where the streams of `@TaskSse` routes come from. */
export interface TaskMessageSource {
  sse(ref: TaskRef, options: SubscribeOptions): Promise<Observable<MessageEvent>>;
  sseMany(selection: TaskSelection, options: SseManyOptions): Promise<Observable<MessageEvent>>;
}
