import type { Clock } from '../../../contracts/clock.interface.js';
import type { EntryAddress } from '../../../contracts/event-log.interface.js';
import type { WorkItem } from '../../../contracts/work-source.interface.js';
import type { TaskState } from '../../../domain/task-state.js';

/** A `created` task as the queue sees it. */
export function workItemOf(task: TaskState, clock: Clock, created: EntryAddress | undefined): WorkItem {
  const { retryDelayMs } = task;
  // A backoff is measured on the monotonic clock; the wall clock may have been set since the retry was written.
  const remainingMs = retryDelayMs === null ? 0 : Math.min(Math.max(0, task.runAt - clock.now()), retryDelayMs);
  return {
    taskId: task.id,
    name: task.name,
    userId: task.userId,
    priority: task.priority,
    order: task.createdAt,
    runAt: retryDelayMs === null && task.resume !== 'crash' ? task.runAt : 0,
    notBefore: remainingMs === 0 ? 0 : clock.monotonic() + remainingMs,
    recovering: task.resume === 'crash',
    suspect: task.recoveries >= 2,
    created,
  };
}
