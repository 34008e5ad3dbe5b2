import type { MessageEvent } from '@nestjs/common';
import type { TaskEvent } from '../contracts/task-event.interface.js';
import type { StoredEntry } from '../contracts/task-history.interface.js';
import { type EventIdentity, eventOf } from '../domain/task-event.js';
import { messageOf } from './sse-message.js';

/** A committed entry and what is shown of it. Both shapes are made on first demand and then shared by every subscriber. */
export class ShapedEntry {
  private shapedEvent: TaskEvent | undefined;
  private shapedMessage: MessageEvent | undefined;

  constructor(
    private readonly task: EventIdentity,
    readonly entry: StoredEntry,
  ) {}

  /** Absent on heartbeats. */
  get seq(): number | undefined {
    return this.entry.taskSeq;
  }

  /** What it weighs in memory and on the wire, roughly: characters of its body and envelope. */
  get weight(): number {
    return this.entry.body.length + 128;
  }

  /** Frozen. */
  get event(): TaskEvent {
    return (this.shapedEvent ??= eventOf(this.task, this.entry));
  }

  /** Frozen; `data` is the finished line. */
  get message(): MessageEvent {
    return (this.shapedMessage ??= messageOf(this.task.id, this.entry));
  }
}
