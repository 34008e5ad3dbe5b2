import { eventId, idempotencyKey, type TaskId, taskName, userId } from '../contracts/ids.js';
import type { StoredEvent, TaskEvent } from '../contracts/task-event.interface.js';
import type { StoredEntry } from '../contracts/task-history.interface.js';
import { frozenJson } from './frozen.js';

/** What every event of a task repeats of it. */
export interface EventIdentity {
  readonly id: TaskId;
  readonly name: string;
  readonly key: string | null;
  readonly userId: string | null;
}

/** What a subscriber sees of an entry's data. The submitted input, which may be large, stays in the task. */
export function payloadOf(type: StoredEntry['type'], data: Readonly<Record<string, unknown>>): unknown {
  switch (type) {
    case 'created': {
      const { name, type: kind = 'user', runAt, expiresAt, priority = 0, tags = [], maxAttempts, timeoutMs } = data;
      return {
        name,
        type: kind,
        ...(runAt === undefined ? {} : { runAt }),
        ...(expiresAt === undefined ? {} : { expiresAt }),
        priority,
        tags,
        maxAttempts,
        timeoutMs,
      };
    }
    case 'progress':
    case 'custom':
      return data['payload'];
    case 'retry': {
      const { reason, runAt, error } = data;
      return { reason, runAt, ...(error === undefined ? {} : { error }) };
    }
    case 'recovered':
      return { reason: data['reason'], recoveries: data['recoveries'] };
    case 'complete':
      return { result: data['result'] };
    case 'error':
      return { error: data['error'] };
    case 'cancelled':
      return data['reason'] === undefined ? undefined : { reason: data['reason'] };
    default:
      return undefined;
  }
}

/** The event that subscribers see, shared by all of them. Its id is the same whenever and wherever it is read. */
export function eventOf(task: EventIdentity, entry: StoredEntry): TaskEvent {
  const data = entry.body === '' ? {} : (JSON.parse(entry.body) as Record<string, unknown>);
  const payload = payloadOf(entry.type, data);
  const eventName = data['eventName'];
  return Object.freeze({
    id: eventId(entry.taskSeq === undefined ? `${task.id}:${entry.type}:${entry.at}` : `${task.id}:${entry.taskSeq}`),
    ...(entry.taskSeq === undefined ? {} : { seq: entry.taskSeq }),
    type: entry.type as TaskEvent['type'],
    ...(entry.type === 'custom' && typeof eventName === 'string' ? { eventName } : {}),
    taskId: task.id,
    name: taskName(task.name),
    idempotencyKey: idempotencyKey(task.key ?? task.id),
    userId: task.userId === null ? null : userId(task.userId),
    attempt: entry.attempt,
    timestamp: entry.at,
    ...(payload === undefined ? {} : { payload: frozenJson(payload) }),
  });
}

export const storedEventOf = (task: EventIdentity, entry: StoredEntry): StoredEvent => eventOf(task, entry) as StoredEvent;
