import type { StoredEntry, TaskHistory } from '../contracts/task-history.interface.js';
import type { TaskErrorInfo } from '../contracts/task.interface.js';
import { isTerminal } from '../domain/entry-types.js';
import { snapshotOf } from '../domain/task-snapshot.js';
import { changed, isEnded, type TaskState } from '../domain/task-state.js';
import { ShuttingDownError } from '../errors/admission.errors.js';
import { TaskCancelledError, TaskFailedError } from '../errors/execution.errors.js';
import { checkSignal } from './abort-signal.js';
import { CursorReader } from './cursor-reader.js';
import type { StreamCursor } from './stream-cursor.js';

/**
 * How the life that `task` is in ends. A life has exactly one terminal event, so it is the first one after `task`,
 * or the newest event of a task that has ended already.
 */
export async function resultOf(
  task: TaskState,
  open: (lastSeq: number) => Promise<StreamCursor>,
  history: TaskHistory,
  signal: AbortSignal | undefined,
): Promise<unknown> {
  checkSignal(signal);
  signal?.throwIfAborted();
  if (task.status === 'completed' && task.result !== undefined) return JSON.parse(task.result) as unknown;
  if (task.status === 'failed') throw new TaskFailedError(snapshotOf(await whole(task, history)));
  if (task.status === 'cancelled') throw new TaskCancelledError(snapshotOf(await whole(task, history)));
  const reader = new CursorReader(await open(isEnded(task.status) ? task.lastSeq - 1 : task.lastSeq));
  const onAbort = (): void => reader.close();
  signal?.addEventListener('abort', onAbort, { once: true });
  try {
    signal?.throwIfAborted();
    for (let shaped = await reader.next(); shaped !== undefined; shaped = await reader.next()) {
      if (isTerminal(shaped.entry.type)) return await settle(task, shaped.entry, history);
    }
    signal?.throwIfAborted();
    // No terminal event is to be had here any more: the log stopped, or the process does. The task itself goes on at the next start.
    throw new ShuttingDownError();
  } finally {
    signal?.removeEventListener('abort', onAbort);
    reader.close();
  }
}

async function settle(task: TaskState, entry: StoredEntry, history: TaskHistory): Promise<unknown> {
  const data = entry.body === '' ? {} : (JSON.parse(entry.body) as Record<string, unknown>);
  if (entry.type === 'complete') return data['result'];
  const ended = snapshotOf(await stateAt(task, entry, data['error'], history));
  throw entry.type === 'error' ? new TaskFailedError(ended) : new TaskCancelledError(ended);
}

/** The same state with its input; without, when that cannot be read now. */
async function whole(task: TaskState, history: TaskHistory): Promise<TaskState> {
  if (task.input !== undefined) return task;
  const stored = await history.load(task.id).catch(() => null);
  return changed(task, { input: stored?.input });
}

/** The task as of its terminal entry. What is stored may be unreadable now, or a life further: then it is what the entry says. */
async function stateAt(task: TaskState, entry: StoredEntry, error: unknown, history: TaskHistory): Promise<TaskState> {
  const stored = await history.load(task.id).catch(() => null);
  if (stored !== null && stored.lastSeq === entry.taskSeq) return changed(stored, { input: stored.input ?? task.input });
  const end = {
    lastSeq: entry.taskSeq ?? task.lastSeq,
    completedAt: entry.at,
    lastEventAt: entry.at,
    attempt: entry.attempt,
    fence: entry.fence,
  };
  if (entry.type === 'cancelled') return changed(task, { ...end, status: 'cancelled' });
  return changed(task, { ...end, status: 'failed', failures: entry.attempt, error: error as TaskErrorInfo, deadLetteredAt: entry.at });
}
