import type { Type } from '@nestjs/common';
import type { TaskHandler } from './task-handler.decorator.js';

const ON_TASK_METADATA = Symbol.for('nestjs-taskflow/on-task');

/** What a listener hears of. `retried`: the task waits for another run, after a failed attempt, put off, released at a shutdown, or by hand. */
export type TaskMoment = (typeof TASK_MOMENTS)[number];
export const TASK_MOMENTS = ['started', 'retried', 'completed', 'failed', 'cancelled', 'recovered'] as const;

export interface OnTaskMetadata {
  readonly method: PropertyKey;
  readonly moment: TaskMoment;
  /** None: tasks of every name. */
  readonly handler: readonly unknown[];
}

/**
 * A method of any provider that is called with the Task, as of the event, after the event is durable: at least once in the process that
 * made it, in order for one task, at any time beside others. It gets an empty asynchronous context, and changes nothing: what it throws
 * is logged, and nobody waits for it. A process that dies before the call takes the call with it, so what must happen belongs into a
 * task. A call is given up after 60 s, a shutdown waits 2 s, and beyond 100,000 waiting calls the newest are dropped; all of it is logged.
 * @param handler class or name of the tasks to hear of. Default: all.
 */
export function OnTask(event: TaskMoment, ...handler: [handler?: Type<TaskHandler> | string]): MethodDecorator {
  return (target, method) => {
    const entries = [...((Reflect.getMetadata(ON_TASK_METADATA, target) as OnTaskMetadata[] | undefined) ?? [])];
    Reflect.defineMetadata(ON_TASK_METADATA, [...entries, { method, moment: event, handler }], target);
  };
}

/** Of a class, those of its parents included. */
export function onTaskMetadata(type: unknown): readonly OnTaskMetadata[] {
  const prototype: unknown = typeof type === 'function' ? type.prototype : undefined;
  if (typeof prototype !== 'object' || prototype === null) return [];
  return (Reflect.getMetadata(ON_TASK_METADATA, prototype) as OnTaskMetadata[] | undefined) ?? [];
}
