import { Follower } from './follower.js';
import { surroundings } from './ports.js';
import type { SseMessage } from './sse-parser.js';
import type { Track } from './track.interface.js';
import type { TaskMessage, TaskWatch, WatchOptions } from './watch.interface.js';

const POSITION = /^\d{1,16}$/;
/** After these a task's stream is ended by the server, unless the task was retried by hand. */
const TERMINAL: readonly string[] = ['complete', 'error', 'cancelled'];

export const isEvent = (value: unknown): value is TaskMessage =>
  typeof value === 'object' &&
  value !== null &&
  typeof (value as TaskMessage).seq === 'number' &&
  typeof (value as TaskMessage).type === 'string';

/** By position, which is the id of a message: where a key was used again, that is more than the event's own seq. */
export class TaskTrack<P> implements Track<P> {
  hasMoved = false;
  private isTerminal = false;

  constructor(
    private readonly start: number,
    private readonly onGap: (gap: { readonly firstAvailableSeq: number }) => void,
    private at = start,
  ) {}

  id(): string {
    return this.at === 0 ? '' : String(this.at);
  }

  take({ id, data }: SseMessage): TaskMessage<P> | undefined {
    const event: unknown = data === undefined ? undefined : JSON.parse(data);
    const position = POSITION.test(id) ? Number(id) : 0;
    if (position <= this.at) return undefined;
    this.at = position;
    this.hasMoved = true;
    if (!isEvent(event)) return undefined;
    this.isTerminal = TERMINAL.includes(event.type);
    return event;
  }

  skip(firstAvailableSeq: number): boolean {
    if (!(firstAvailableSeq - 1 > this.at)) return false;
    this.at = firstAvailableSeq - 1;
    this.hasMoved = true;
    this.onGap({ firstAvailableSeq });
    return true;
  }

  isOver(): boolean {
    return this.isTerminal;
  }

  position(): number {
    return this.at;
  }

  rewind(): void {
    this.at = this.start;
    this.isTerminal = false;
  }
}

/**
 * Follows one task's event stream, over lost connections, restarts of the server and expired tokens, until the task's last event: each
 * event once, in order. It begins at once, and never throws later: `done` always resolves, and says why nothing more comes.
 * @param url of an `@TaskSse` route, or of an `@Sse` route that answers with `tasks.sse()`.
 */
export function watchTask<P = any>(url: string | URL, options: WatchOptions<P> = {}, ports = surroundings): TaskWatch<P> {
  const track = new TaskTrack<P>(options.lastSeq ?? 0, (gap) => follower.call(() => options.onGap?.(gap)));
  const follower = new Follower<P>(url, options, track, ports);
  return {
    get lastSeq() {
      return track.position();
    },
    done: follower.done,
    close: () => follower.close(),
    [Symbol.asyncIterator]: () => follower.iterate(),
  };
}
