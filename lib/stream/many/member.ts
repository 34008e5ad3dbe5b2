import type { TaskId } from '../../contracts/ids.js';
import { cursorEntry, shortKey } from '../../domain/stream-cursors.js';
import type { TaskState } from '../../domain/task-state.js';
import type { StreamCursor } from '../stream-cursor.js';

/** One task of a stream of many, and how far its client has it. */
export class Member {
  readonly id: TaskId;
  /** Epoch ms. */
  readonly createdAt: number;
  /** While its events are followed. */
  cursor: StreamCursor | undefined;
  /** A cursor is on its way. */
  isOpening = false;
  private readonly key: string;

  /** @param at seq of the last event that was handed out. */
  constructor(
    task: TaskState,
    public at: number,
  ) {
    this.id = task.id;
    this.createdAt = task.createdAt;
    this.key = shortKey(task.id);
  }

  get isFollowed(): boolean {
    return this.isOpening || this.cursor !== undefined;
  }

  text(): string {
    return cursorEntry(this.key, this.at);
  }

  close(): void {
    this.cursor?.close();
    this.cursor = undefined;
  }
}
