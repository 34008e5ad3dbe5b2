import type { MessageEvent } from '@nestjs/common';
import type { Observable } from 'rxjs';
import type { SubscribeOptions, TaskRef } from './task-system.interface.js';

/** The messages of one SSE response, and where its client stands. */
export interface TaskMessages extends Observable<MessageEvent> {
  /** Seq of the newest message that was handed out; before the first one, where the client stood when it came. */
  readonly position: number;
  /** Somebody takes the messages: whatever surrounds the route has let the request through. */
  readonly isTaken: boolean;
  /** Called when that happens. */
  onTaken: (() => void) | undefined;
  /** Asks the client to come back, for what follows `position`. */
  hint(position: number): MessageEvent;
}

/** Where the streams of `@TaskSse` routes come from. */
export interface TaskMessageSource {
  sse(ref: TaskRef, options: SubscribeOptions): Promise<Observable<MessageEvent>>;
}
