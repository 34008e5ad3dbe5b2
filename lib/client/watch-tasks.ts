import { Follower } from './follower.js';
import { surroundings } from './ports.js';
import type { SseMessage } from './sse-parser.js';
import type { Track } from './track.interface.js';
import type { TaskMessage, TasksWatch, WatchManyOptions } from './watch.interface.js';
import { isEvent } from './watch-task.js';

type Gap = Parameters<NonNullable<WatchManyOptions['onGap']>>[0];

/** By task and its seq. The server's own composite id is sent back as it came; what was seen already is left out here, too. */
class TasksTrack<P> implements Track<P> {
  cursors: Record<string, number>;
  hasMoved = false;
  private lastId = '';

  constructor(
    private readonly start: Readonly<Record<string, number>>,
    private readonly onGap: (gap: Gap) => void,
    private readonly onMissing: (taskId: string) => void,
  ) {
    this.cursors = { ...start };
  }

  id(): string {
    const known = Object.entries(this.cursors).map(([taskId, seq]) => `${taskId}:${seq}`);
    return this.lastId === '' ? known.join() : this.lastId;
  }

  take({ id, name, data }: SseMessage): TaskMessage<P> | undefined {
    const value: unknown = data === undefined ? undefined : JSON.parse(data);
    this.lastId = id;
    if (name === 'gap') this.jump(value as Gap);
    if (name === 'missing') this.onMissing((value as Gap).taskId);
    if (!isEvent(value) || value.seq <= (this.cursors[value.taskId] ?? 0)) return undefined;
    this.move(value.taskId, value.seq);
    return value;
  }

  /** Gaps are told task by task, on the stream. */
  skip(): boolean {
    return false;
  }

  /** That one stream ended does not say that all tasks did: the next answer does. */
  isOver(): boolean {
    return false;
  }

  position(): number {
    return 0;
  }

  rewind(): void {
    this.cursors = { ...this.start };
    this.lastId = '';
  }

  private jump(gap: Gap): void {
    const before = gap.firstAvailableSeq - 1;
    if (before <= (this.cursors[gap.taskId] ?? 0)) return;
    this.move(gap.taskId, before);
    this.onGap(gap);
  }

  private move(taskId: string, seq: number): void {
    this.cursors[taskId] = seq;
    this.hasMoved = true;
  }
}

/**
 * Follows many tasks on one connection, as `watchTask` follows one: each event of each task once, in its order. It ends where the endpoint
 * names its tasks and all of them have ended; an endpoint that goes by a filter goes on until it is closed.
 * @param url of a route that answers with `tasks.sseMany()`.
 */
export function watchTasks<P = any>(url: string | URL, options: WatchManyOptions<P> = {}, ports = surroundings): TasksWatch<P> {
  const track = new TasksTrack<P>(
    options.cursors ?? {},
    (gap) => follower.call(() => options.onGap?.(gap)),
    (taskId) => follower.call(() => options.onMissing?.(taskId)),
  );
  const follower = new Follower<P>(url, options, track, ports);
  return {
    get cursors() {
      return { ...track.cursors };
    },
    done: follower.done,
    close: () => follower.close(),
    [Symbol.asyncIterator]: () => follower.iterate(),
  };
}
