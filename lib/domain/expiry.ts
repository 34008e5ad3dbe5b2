import type { FactDraft } from '../contracts/fact-port.interface.js';
import type { TaskId } from '../contracts/ids.js';
import type { TaskErrorInfo, TaskStatus } from '../contracts/task.interface.js';
import type { TaskState } from './task-state.js';
import { TaskExpiredError } from '../errors/execution.errors.js';

const CREATED: readonly TaskStatus[] = ['created'];

/** Counts until the first start: what has begun is worth going on with. */
export const mayExpire = ({ expiresAt, fence }: TaskState): boolean => expiresAt !== null && fence === 0;

/** @param now wall clock, epoch ms. */
export const hasExpired = (task: TaskState, now: number): boolean => mayExpire(task) && task.expiresAt! <= now;

/** Ends a task that has not started; the gate refuses it where a `start` was faster. */
export function expiredDraft(id: TaskId, expiresAt: number): FactDraft {
  const { name, code, message } = new TaskExpiredError(new Date(expiresAt));
  const error: TaskErrorInfo = { name, code, message, retryable: false };
  return { type: 'error', taskId: id, data: { error }, expect: { status: CREATED, fence: 0 } };
}
