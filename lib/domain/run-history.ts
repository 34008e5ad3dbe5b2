import type { TaskId } from '../contracts/ids.js';
import type { TaskEvent } from '../contracts/task-event.interface.js';
import type { StoredEntry, TaskHistory } from '../contracts/task-history.interface.js';
import { eventOf } from './task-event.js';
import type { TaskState } from './task-state.js';
import { StreamOverflowError } from '../errors/stream.errors.js';
import { RepositoryError } from '../errors/storage.errors.js';

const MAX_PREVIOUS = 1000;
const PAGE_SIZE = 200;
/** A read is answered with nothing when a segment vanished under it; more than a few times in a row is a fault. */
const MAX_EMPTY_ANSWERS = 20;

/** The last events of a task up to `lastSeq`, at most 1,000. @throws RepositoryError when they cannot be read now. */
export async function previousEventsOf(history: TaskHistory, task: TaskState, lastSeq: number): Promise<readonly TaskEvent[]> {
  const events: TaskEvent[] = [];
  for await (const event of eventsBetween(history, task, Math.max(0, lastSeq - MAX_PREVIOUS), lastSeq, MAX_PREVIOUS)) events.push(event);
  return Object.freeze(events);
}

/** All events of a task up to `lastSeq`, page by page. Starts after what its storage no longer has. */
export async function* eventsBetween(
  history: TaskHistory,
  task: TaskState,
  afterSeq: number,
  lastSeq: number,
  pageSize = PAGE_SIZE,
): AsyncGenerator<TaskEvent, void> {
  let cursor = afterSeq;
  for (let empty = 0; cursor < lastSeq;) {
    const page = await pageAfter(history, task.id, cursor, Math.min(pageSize, lastSeq - cursor));
    empty = page.length === 0 ? empty + 1 : 0;
    if (empty > MAX_EMPTY_ANSWERS) throw new RepositoryError('UNAVAILABLE', 'The events of this task could not be read; try again.');
    for (const entry of page) {
      const seq = entry.taskSeq ?? cursor;
      if (seq > lastSeq) return;
      cursor = seq;
      yield eventOf(task, entry);
    }
  }
}

async function pageAfter(history: TaskHistory, taskId: TaskId, afterSeq: number, limit: number): Promise<readonly StoredEntry[]> {
  try {
    return await history.after(taskId, afterSeq, limit);
  } catch (error) {
    if (!StreamOverflowError.is(error) || error.firstAvailableSeq <= afterSeq + 1) throw error;
    return history.after(taskId, error.firstAvailableSeq - 1, limit);
  }
}
