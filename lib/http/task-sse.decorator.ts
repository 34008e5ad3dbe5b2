import { createParamDecorator, type ExecutionContext, Sse, UseGuards } from '@nestjs/common';
import { GUARDS_METADATA } from '@nestjs/common/constants.js';
import { type TaskSseSelect, taskEventsOf } from './task-sse.gate.js';
import { TASK_SSE_SELECT, TaskSseGuard } from './task-sse.guard.js';

/**
 * An `@Sse` route whose stream is opened after all guards and before interceptors, so that every refusal keeps its status, whatever
 * surrounds the route: `@Sse` itself sends its headers before an intercepted handler has answered. The method gets the stream by
 * `@TaskEvents()` and returns it. `select` says which task, for whom, or by `many` which tasks; it may be asynchronous, and what it throws is answered as an error
 * of a guard. Whatever interceptors do to the stream, no client repeats or misses an event: envelopes such as `{ data, statusCode }` are
 * undone, and where an interceptor ends the stream, or loses the ids of its events, clients are asked to come back and a line is logged.
 */
export function TaskSse(path: string | string[], select: TaskSseSelect): MethodDecorator {
  if (typeof select !== 'function')
    throw new TypeError(
      '@TaskSse(path, select): select must be a function, as in (context) => ({ ref, userId }) or ({ many: { userId } }).',
    );
  return (target, key, descriptor) => {
    const method = descriptor.value as object;
    Sse(path as string)(target, key, descriptor);
    UseGuards(TaskSseGuard)(target, key, descriptor);
    Reflect.defineMetadata(TASK_SSE_SELECT, select, method);
    // Decorators above this one are applied after it; no route is made before they all are.
    queueMicrotask(() => moveGuardToEnd(method));
  };
}

function moveGuardToEnd(method: object): void {
  const guards = (Reflect.getMetadata(GUARDS_METADATA, method) ?? []) as unknown[];
  Reflect.defineMetadata(GUARDS_METADATA, [...guards.filter((guard) => guard !== TaskSseGuard), TaskSseGuard], method);
}

const Events = createParamDecorator((_: unknown, context: ExecutionContext) => taskEventsOf(context));

/** The stream of a `@TaskSse` route. */
export const TaskEvents = (): ParameterDecorator => (target, key, index) => {
  Events()(target, key, index);
  // With `validateCustomDecorators` a ValidationPipe would make a new instance of the parameter's class: an Observable without a source.
  const types = key === undefined ? undefined : (Reflect.getOwnMetadata('design:paramtypes', target, key) as unknown[] | undefined);
  if (types !== undefined) types[index] = Object;
};
