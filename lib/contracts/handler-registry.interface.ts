import type {
  RecoveryContext,
  RecoveryOutcome,
  RetryOptions,
  StandardSchema,
  TaskAttempt,
  TaskContext,
  HandlerResult,
  TaskHandlerOptions,
} from './task-handler.interface.js';
import type { Task, TaskType } from './task.interface.js';
import type { Type } from '@nestjs/common';

/** What a run calls. Made anew for each attempt where the handler is request-scoped. */
export interface HandlerInstance {
  handle(input: unknown, ctx: TaskContext): HandlerResult<unknown>;
  recover?: ((task: Task, ctx: RecoveryContext) => Promise<RecoveryOutcome<unknown>>) | undefined;
}

/** A task name with everything that is known of it. */
export interface RegisteredHandler {
  readonly name: string;
  readonly options: TaskHandlerOptions;
  readonly type: TaskType;
  /** Handler option, else `executor.defaultTimeoutMs`. */
  readonly timeoutMs: number;
  /** Handler options over `executor.retry`. */
  readonly retry: Required<{ [K in keyof RetryOptions]: NonNullable<RetryOptions[K]> }>;
  readonly maxConcurrentExecutions: number | undefined;
  readonly input: Type<unknown> | undefined;
  readonly schema: StandardSchema | undefined;
  readonly idempotency: 'none' | 'input';
  /** Class, for `submit(SendEmail, …)`; undefined for `defineTask`. */
  readonly handlerClass: Type<unknown> | undefined;
  /**
   * Resolves the instance for one attempt.
   * @param attempt what `@Inject(REQUEST)` gives to a request-scoped handler: the same object at every call.
   */
  instance(attempt: () => TaskAttempt): Promise<HandlerInstance> | HandlerInstance;
}
