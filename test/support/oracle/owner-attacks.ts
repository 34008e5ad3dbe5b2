import type { OwnerOption, TaskRef } from '../../../lib/contracts/task-system.interface.js';
import type { Task } from '../../../lib/contracts/task.interface.js';
import type { TaskSystem } from '../../../lib/task-system.js';

export type Call = (system: TaskSystem, ref: TaskRef, options: OwnerOption) => Promise<unknown>;

/** Every public method that says who asks, of one task. `owners.spec.ts` fails when one is missing here. */
export const OF_A_TASK: Record<string, Call> = {
  'TaskSystem.getStatus': (system, ref, options) => system.getStatus(ref, options),
  'TaskSystem.get': (system, ref, options) => system.get(ref, options),
  'TaskSystem.retry': (system, ref, options) => system.retry(ref, options),
  'TaskSystem.subscribe': async (system, ref, options) => {
    for await (const event of system.subscribe(ref, options)) return event;
    return undefined;
  },
  'TaskSystem.sse': (system, ref, options) => system.sse(ref, options),
  'TaskSystem.sseMany': (system, ref, options) => system.sseMany({ refs: [ref], ...options }),
  'TaskSystem.result': (system, ref, options) => system.result(ref, options),
  'TaskSystem.cancel': (system, ref, options) => system.cancel(ref, options),
  'DeadLetterService.retry': (system, ref, options) => system.deadLetters.retry(ref, options),
  'DeadLetterService.remove': (system, ref, options) => system.deadLetters.remove(ref, options),
};

const isStream = (value: unknown): boolean => typeof value === 'object' && value !== null && 'subscribe' in value;

/** What a caller gets to see: the value, or all of the error. */
export function answerOf(asked: Promise<unknown>): Promise<unknown> {
  return asked.then(
    (value) => ({ value: isStream(value) ? 'a stream' : value }),
    (error: { name: string; code: string; message: string; status?: number; response?: unknown }) => ({
      name: error.name,
      code: error.code,
      message: error.message,
      status: error.status,
      response: error.response,
    }),
  );
}

/** Everything that somebody could have got hold of, beside the same kind of thing of a task that never was. */
export function refsOf(task: Task): readonly (readonly [kind: string, hit: TaskRef, miss: TaskRef])[] {
  const nobody = '01900000-0000-7000-8000-000000000000';
  const notThere = { ...task, id: nobody as Task['id'], idempotencyKey: 'no such key' as Task['idempotencyKey'] };
  const event = { taskId: task.id as string, seq: 1, type: 'created', attempt: 1, timestamp: 0, payload: {} };
  return [
    ['a chosen key', task.idempotencyKey, 'no such key'],
    ['a generated key', task.id as string, nobody],
    ['{ taskId }', { taskId: task.id }, { taskId: nobody }],
    ['the Task object', task, notThere],
    ['an event', event, { ...event, taskId: nobody }],
  ];
}
