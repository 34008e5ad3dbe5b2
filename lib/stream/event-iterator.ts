import type { TaskEvent } from '../contracts/task-event.interface.js';
import { CursorReader } from './cursor-reader.js';
import type { StreamCursor } from './stream-cursor.js';

const DONE: IteratorReturnResult<undefined> = { done: true, value: undefined };

/** One consumer of `for await`: opens its cursor with the first `next`, so that one never used costs nothing. */
export class EventIterator implements AsyncIterableIterator<TaskEvent> {
  private reader: CursorReader | undefined;
  private isClosed = false;
  /** Calls of `next` are answered in the order in which they were made. */
  private tail: Promise<unknown> = Promise.resolve();
  private readonly onAbort = (): void => this.close();

  constructor(
    private readonly open: () => Promise<StreamCursor>,
    private readonly signal: AbortSignal | undefined,
  ) {}

  [Symbol.asyncIterator](): this {
    return this;
  }

  next(): Promise<IteratorResult<TaskEvent, undefined>> {
    const result = this.tail.then(() => this.pull());
    this.tail = result.catch(() => undefined); // its caller hears of it; the next call finds the iterator closed
    return result;
  }

  return(): Promise<IteratorResult<TaskEvent, undefined>> {
    this.close();
    return Promise.resolve(DONE);
  }

  private async pull(): Promise<IteratorResult<TaskEvent, undefined>> {
    if (this.signal?.aborted === true) this.close();
    if (this.isClosed) return DONE;
    try {
      this.reader ??= await this.start();
      const entry = await this.reader.next();
      if (entry !== undefined && !this.isClosed) return { done: false, value: entry.event };
    } catch (error) {
      if (!this.isClosed) {
        this.close();
        throw error;
      }
    }
    this.close();
    return DONE;
  }

  private async start(): Promise<CursorReader> {
    this.signal?.addEventListener('abort', this.onAbort, { once: true });
    const reader = new CursorReader(await this.open());
    if (this.isClosed) reader.close();
    return reader;
  }

  private close(): void {
    this.isClosed = true;
    this.signal?.removeEventListener('abort', this.onAbort);
    this.reader?.close();
  }
}
