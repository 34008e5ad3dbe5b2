import type { TaskAttempt } from '../contracts/task-handler.interface.js';

const TASK_INTERCEPTOR_METADATA = Symbol.for('nestjs-taskflow/task-interceptor');

export interface TaskInterceptorOptions {
  /** Lower is further out. Default 0. */
  order?: number;
}

/** What a class marked with `@TaskInterceptor` implements. */
export interface TaskInterceptor {
  /**
   * Surrounds one attempt: the check of its input, the making of a request-scoped handler, `recover`, `handle`, and the whole life of
   * a generator. A context opened around `next` (`AsyncLocalStorage.run`) is the handler's.
   * @param next resolves with the handler's result; rejects with what it threw, or with the signal's reason when the attempt was
   * interrupted. Called once; an interceptor that never calls it answers in the handler's place.
   * @returns the result of the attempt. What it throws fails the attempt.
   */
  intercept(run: TaskAttempt, next: () => Promise<unknown>): Promise<unknown>;
}

/**
 * Declares a provider that wraps every attempt of every task, `defineTask`'s too. List it among the providers of any module.
 * Decorator and interface share the name on purpose.
 */
export function TaskInterceptor(options: TaskInterceptorOptions = {}): ClassDecorator {
  return (target) => Reflect.defineMetadata(TASK_INTERCEPTOR_METADATA, options, target);
}

/** Own metadata only, as with handlers. */
export function taskInterceptorMetadata(type: unknown): TaskInterceptorOptions | undefined {
  if (typeof type !== 'function') return undefined;
  return Reflect.getOwnMetadata(TASK_INTERCEPTOR_METADATA, type) as TaskInterceptorOptions | undefined;
}
