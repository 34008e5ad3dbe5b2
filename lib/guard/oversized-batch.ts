import type { TaskflowOptions } from '../config/taskflow.options.js';
import { ValidationError } from '../errors/request.errors.js';
import type { WaitingTasks } from './waiting-tasks.js';

interface Member {
  readonly userId: string | null;
  readonly entry: 'start' | 'queue' | 'delayed' | 'slot';
  readonly isTrusted: boolean;
}

/**
 * Refuses for good what no waiting mends: many submits together that are more than a limit ever allows. Nothing is taken of the limits.
 * @throws ValidationError, which names the limit.
 */
export function refuseOversized(members: readonly Member[], { guard }: TaskflowOptions, waiting: WaitingTasks): void {
  const { maxTasksPerWindow, maxTasksPerUserWindow } = guard.backpressure;
  const { maxExecutionGlobal, maxExecutionPerUser } = guard.slots;
  const all = { max: maxTasksPerWindow, maxPerUser: Infinity };
  const charged = { max: Infinity, maxPerUser: maxTasksPerUserWindow };
  const [queued, delayed] = [waiting.queued.bound, waiting.delayed.bound];
  // At best all slots are free: that many wait for none.
  const atOnce = { max: queued.max + maxExecutionGlobal, maxPerUser: queued.maxPerUser + maxExecutionPerUser };
  check(members, all, 'maxTasksPerWindow allows in any window');
  const untrusted = members.filter(({ isTrusted }) => !isTrusted);
  check(untrusted, charged, 'maxTasksPerUserWindow allows in any window');
  const later = members.filter(({ entry }) => entry === 'delayed');
  check(later, { ...delayed, max: Math.max(1, delayed.max) }, 'maxDelayedSize allows to wait for their time');
  const now = members.filter(({ entry }) => entry !== 'delayed');
  check(now, atOnce, 'maxQueuedSize and guard.slots allow together');
}

function check(members: readonly Member[], { max, maxPerUser }: { max: number; maxPerUser: number }, allows: string): void {
  if (members.length > max) throw tooMany(members.length, max, allows);
  const perUser = new Map<string, number>();
  for (const { userId } of members) {
    if (userId === null) continue;
    const count = (perUser.get(userId) ?? 0) + 1;
    perUser.set(userId, count);
    if (count > maxPerUser)
      throw tooMany(members.filter((member) => member.userId === userId).length, maxPerUser, `${allows}, of one user`);
  }
}

const tooMany = (count: number, max: number, allows: string): ValidationError =>
  new ValidationError('items', `are ${count} new tasks, more than the ${max} that guard.backpressure.${allows}: submit fewer at once`);
