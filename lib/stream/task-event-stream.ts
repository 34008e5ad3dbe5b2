import { Observable, type Subscriber } from 'rxjs';
import type { Clock } from '../contracts/clock.interface.js';
import type { TaskEvent, TaskStream } from '../contracts/task-event.interface.js';
import { completeOnAbort } from './abort-signal.js';
import { CursorPump, type PumpSink } from './cursor-pump.js';
import { EventIterator } from './event-iterator.js';
import type { StreamCursor } from './stream-cursor.js';

/** Cold: every subscription and every iterator opens a cursor of its own. An aborted signal ends it without an error. */
export class TaskEventStream extends Observable<TaskEvent> implements TaskStream {
  constructor(
    private readonly open: () => Promise<StreamCursor>,
    private readonly clock: Clock,
    private readonly signal: AbortSignal | undefined,
  ) {
    super((subscriber) => this.deliver(subscriber));
  }

  [Symbol.asyncIterator](): AsyncIterator<TaskEvent> {
    return new EventIterator(this.open, this.signal);
  }

  private deliver(subscriber: Subscriber<TaskEvent>): void {
    const { signal } = this;
    if (signal?.aborted === true) return subscriber.complete();
    completeOnAbort(subscriber, signal);
    this.open().then(
      (cursor) => {
        const pump = new CursorPump(cursor, sinkOf(subscriber), this.clock, Number.POSITIVE_INFINITY);
        subscriber.add(() => pump.close()); // at once, if it left while the cursor was opened
        if (!subscriber.closed) pump.start();
      },
      (error: unknown) => subscriber.error(error),
    );
  }
}

const sinkOf = (subscriber: Subscriber<TaskEvent>): PumpSink => ({
  next: (entry) => subscriber.next(entry.event),
  end: () => subscriber.complete(),
  fail: (error) => subscriber.error(error),
});
