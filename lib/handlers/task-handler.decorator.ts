import type { TaskHandler as TaskHandlerContract, TaskHandlerOptions } from '../contracts/task-handler.interface.js';

/** Shared by two installed copies of the package. `Reflect` has metadata wherever Nest was loaded. */
const TASK_HANDLER_METADATA = Symbol.for('nestjs-taskflow/task-handler');

export interface TaskHandlerMetadata {
  readonly name: string;
  readonly options: TaskHandlerOptions;
}

/** What a class marked with `@TaskHandler` implements. */
export interface TaskHandler<I = any, R = any> extends TaskHandlerContract<I, R> {}

/**
 * Declares a class as the handler of one task name. List it among the providers of any module. Written twice on one class, it
 * stands for two names. Decorator and interface share the name on purpose.
 * Checks nothing: at start, everything that is wrong with any handler is in one ConfigValidationError.
 */
export function TaskHandler(name: string, options: TaskHandlerOptions = {}): ClassDecorator {
  return (target) => {
    Reflect.defineMetadata(TASK_HANDLER_METADATA, [{ name, options }, ...taskHandlerMetadata(target)], target);
  };
}

/** Own metadata only: an undecorated subclass must not answer for its parent's task. */
export function taskHandlerMetadata(type: unknown): readonly TaskHandlerMetadata[] {
  if (typeof type !== 'function') return [];
  return (Reflect.getOwnMetadata(TASK_HANDLER_METADATA, type) as readonly TaskHandlerMetadata[] | undefined) ?? [];
}
