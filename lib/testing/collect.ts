import type { TaskEvent, TaskStream } from '../contracts/task-event.interface.js';

import { withinReal } from './real-time.js';

/** An Observable, as far as it is needed here. */
interface Subscribable<T> {
  subscribe(next: (value: T) => void, error: (error: unknown) => void, complete: () => void): { unsubscribe(): void };
}

export interface CollectOptions {
  /** Ends after so many, and leaves the stream. Default: all. */
  max?: number;
  /** Real time, whatever the test's clock shows. Default 4,000 ms. */
  timeoutMs?: number;
}

/**
 * What a stream gives, to its end: of `tasks.subscribe()`, or of `tasks.sse()`.
 * @throws what the stream fails with; an Error that shows what came so far, when it has not ended after `timeoutMs`.
 */
export function collect<P = any>(stream: TaskStream<P>, options?: CollectOptions): Promise<TaskEvent<P>[]>;
export function collect<T>(stream: Subscribable<T>, options?: CollectOptions): Promise<T[]>;
export async function collect<T>(stream: Subscribable<T>, { max = Infinity, timeoutMs = 4_000 }: CollectOptions = {}): Promise<T[]> {
  const items: T[] = [];
  if (max <= 0) return items;
  let leave = (): void => undefined;
  const ended = new Promise<void>((resolve, reject) => {
    let isOver = false;
    const end = (how: () => void): void => {
      isOver = true;
      leave();
      how();
    };
    const subscription = stream.subscribe(
      (item) => {
        if (isOver) return;
        items.push(item);
        if (items.length >= max) end(resolve);
      },
      (error: unknown) => end(() => reject(error as Error)),
      () => end(resolve),
    );
    leave = () => subscription.unsubscribe();
    if (isOver) leave();
  });
  try {
    await withinReal(
      ended,
      timeoutMs,
      () => new Error(`The stream has not ended after ${timeoutMs} ms. It gave: ${JSON.stringify(items)}`),
    );
  } finally {
    leave();
  }
  return items;
}
