import type { Clock } from '../../../contracts/clock.interface.js';
import type { EntryAddress } from '../../../contracts/event-log.interface.js';
import type { WorkItem } from './work-source.interface.js';
import type { TaskState } from '../../../domain/task-state.js';

/**
 * A `created` task as the queue sees it. `task.runAt` is the time its caller asked for, the end of its backoff, or else a time that only
 * orders events: that one is never waited for, as the clock that gave it may have been wrong.
 */
export function workItemOf(task: TaskState, clock: Clock, created: EntryAddress | undefined, isNew = false): WorkItem {
  const { retryDelayMs } = task;
  // A duration is measured on the monotonic clock; the wall clock may have been set since it was written.
  const remainingMs = retryDelayMs === null ? 0 : Math.min(Math.max(0, task.runAt - clock.now()), retryDelayMs);
  return {
    taskId: task.id,
    name: task.name,
    userId: task.userId,
    priority: task.priority,
    order: task.createdAt,
    isNew,
    runAt: retryDelayMs === null && isDelayed(task) ? task.runAt : 0,
    notBefore: remainingMs === 0 ? 0 : clock.monotonic() + remainingMs,
    recovering: task.resume === 'crash',
    suspect: task.recoveries >= 2,
    created,
  };
}

/** Its caller asked for a time. A task that nobody delayed has the time of its `created`, also where that is ahead of today's clock. */
const isDelayed = ({ resume, runAt, createdAt }: TaskState): boolean => resume !== 'crash' && runAt !== createdAt;
