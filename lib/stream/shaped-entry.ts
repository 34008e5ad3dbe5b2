import type { MessageEvent } from '@nestjs/common';
import type { TaskEvent } from '../contracts/task-event.interface.js';
import type { StoredEntry } from '../contracts/task-history.interface.js';
import { payloadForClients } from '../domain/client-error.js';
import { eventOf } from '../domain/task-event.js';
import type { ShownTask } from './shown-task.js';
import { messageOf } from './sse-message.js';

/** A committed entry and what is shown of it. Both shapes are made on first demand and then shared by every subscriber. */
export class ShapedEntry {
  private shapedEvent: TaskEvent | undefined;
  private shapedMessage: MessageEvent | undefined;

  constructor(
    private readonly task: ShownTask,
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

  /** Frozen. Code reads the whole of it; its JSON, which a gateway may send to a browser, has what clients may know of an error. */
  get event(): TaskEvent {
    return (this.shapedEvent ??= this.shapeEvent());
  }

  /** Frozen; `data` is the finished line. */
  get message(): MessageEvent {
    return (this.shapedMessage ??= messageOf(this.task, this.entry));
  }

  private shapeEvent(): TaskEvent {
    const event = eventOf(this.task, this.entry);
    const { type, payload } = event;
    const shown = this.task.exposesErrors ? payload : payloadForClients(type, payload);
    if (shown === payload) return event;
    const toJSON = (): object => ({ ...event, payload: shown });
    return Object.freeze(Object.defineProperty({ ...event }, 'toJSON', { value: toJSON }));
  }
}
