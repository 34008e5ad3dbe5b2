import type { MessageEvent } from '@nestjs/common';
import type { StoredEntry } from '../contracts/task-history.interface.js';
import { payloadForClients } from '../domain/client-error.js';
import { payloadOf } from '../domain/task-event.js';
import type { ShownTask } from './shown-task.js';

/** A comment, which EventSource ignores. Nothing else may be in it: Nest invents an id for every message that is more than a comment. */
export const KEEP_ALIVE: MessageEvent = Object.freeze({ comment: 'keep-alive' });

/**
 * Asks the client to come back in `retryMs`. It carries the id of the last message, since Nest would invent one,
 * and a client takes over the id even of a message without data.
 */
export const retryHint = (id: string, retryMs: number): MessageEvent => ({ id, retry: retryMs });

/**
 * How an entry goes over the wire: `id` is its seq, the event's name its type, `data` one line of JSON without user id and key.
 * `error` is sent as `failed`: EventSource dispatches a lost connection as `error`.
 */
export function messageOf(task: ShownTask, entry: StoredEntry): MessageEvent {
  return Object.freeze({
    id: String(entry.taskSeq),
    type: entry.type === 'error' ? 'failed' : entry.type,
    data: dataLine(task, entry),
  });
}

const PAYLOAD_FIRST = '{"payload":';

function dataLine({ id: taskId, exposesErrors }: ShownTask, entry: StoredEntry): string {
  const { taskSeq: seq, type, attempt, at: timestamp, body } = entry;
  // The hot case: what the log holds is already the JSON that the client gets, so it is neither parsed nor encoded again.
  if (type === 'progress' && body.startsWith(PAYLOAD_FIRST) && isOneLine(body)) {
    return `{"seq":${seq},"type":"progress","taskId":${JSON.stringify(taskId)},"attempt":${attempt},"timestamp":${timestamp},${body.slice(1)}`;
  }
  const data = body === '' ? {} : (JSON.parse(body) as Record<string, unknown>);
  const eventName = type === 'custom' ? data['eventName'] : undefined;
  const payload = payloadOf(type, data);
  // Members that are undefined leave no trace in JSON.
  const shown = exposesErrors ? payload : payloadForClients(type, payload);
  return JSON.stringify({ seq, type, eventName, taskId, attempt, timestamp, payload: shown });
}

/** SSE ends a line at either; JSON may have them between members when a repository kept it formatted. */
const isOneLine = (text: string): boolean => !text.includes('\n') && !text.includes('\r');
