import { taskId, type TaskId } from '../../../lib/contracts/ids.js';
import type { WorkItem } from '../../../lib/engines/local/queue/work-source.interface.js';
import { FairQueue } from '../../../lib/engines/local/queue/fair-queue.js';
import { BackpressureOptions } from '../../../lib/config/backpressure.options.js';
import { WaitingTasks } from '../../../lib/guard/waiting-tasks.js';
import { ExecutionSlots } from '../../../lib/guard/execution-slots.js';
import { FakeClock } from '../clock/fake-clock.js';

/** The id of the n-th task: a UUIDv7 in shape, ascending. */
export const idOfTask = (number: number): TaskId => {
  const hex = number.toString(16).padStart(12, '0');
  return taskId(`0198${hex.slice(0, 4)}-${hex.slice(4, 8)}-7abc-8def-${hex}`);
};

export function workItem(number: number, over: Partial<WorkItem> = {}): WorkItem {
  const due = { runAt: 0, notBefore: 0, recovering: false, suspect: false };
  return { taskId: idOfTask(number), name: 'work', userId: null, priority: 0, order: number, ...due, ...over };
}

export interface QueueSetup {
  readonly global?: number;
  readonly perUser?: number;
  readonly slotTimeoutMs?: number;
  readonly recoveries?: number;
  readonly names?: readonly string[];
  /** maxConcurrentExecutions by name. */
  readonly handlerLimits?: Readonly<Record<string, number>>;
}

export function queueOf(setup: QueueSetup = {}) {
  const clock = new FakeClock();
  const { global = 50, perUser = 10, slotTimeoutMs = 30_000, recoveries = 5, names = ['work'], handlerLimits = {} } = setup;
  const slots = new ExecutionSlots({ maxExecutionGlobal: global, maxExecutionPerUser: perUser, slotTimeoutMs }, clock);
  const queue = new FairQueue(slots, { maxConcurrentRecoveries: recoveries }, clock, new WaitingTasks(new BackpressureOptions()));
  for (const [name, max] of Object.entries(handlerLimits)) slots.limitHandler(name, max);
  for (const name of names) queue.define(name);
  return { clock, slots, queue };
}
