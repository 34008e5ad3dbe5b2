export { type TaskflowOptionsFactory, type TaskflowOptionsInput, type TaskflowOptionsShape } from './config/taskflow-options.interface.js';
export { TaskflowOptions } from './config/taskflow.options.js';
export { type EventId, eventId, type IdempotencyKey, idempotencyKey, type Plain, type TaskId, taskId, type TaskName, taskName, type UserId, userId } from './contracts/ids.js'; // prettier-ignore
export type { Degradation, DegradationName } from './contracts/degradation.interface.js';
export type * from './contracts/task-event.interface.js';
export type * from './contracts/task-handler.interface.js';
export type * from './contracts/task-repository.interface.js';
export type * from './contracts/task-system.interface.js';
export type * from './contracts/task.interface.js';
export type { TaskflowHooks } from './contracts/telemetry.interface.js';
export { createTaskSystem } from './create-task-system.js';
export { InjectTaskflowOptions } from './config/inject-taskflow-options.decorator.js';
export { OnTask, type TaskMoment } from './handlers/on-task.decorator.js';
export { TaskInterceptor, type TaskInterceptorOptions } from './handlers/task-interceptor.decorator.js';
export { TaskHandler } from './handlers/task-handler.decorator.js';
export { applyEntry, toStoredEvent } from './domain/task-snapshot.js';
export { BackpressureError, ShuttingDownError, SlotTimeoutError } from './errors/admission.errors.js';
export { ConfigValidationError } from './errors/config.errors.js';
export {
  NonRetryableError,
  RetryLaterError,
  TaskCancelledError,
  TaskExpiredError,
  TaskFailedError,
  TaskTimeoutError,
} from './errors/execution.errors.js';
export { ConflictError, HandlerNotFoundError, NotFoundError, ValidationError } from './errors/request.errors.js';
export { EventLogCorruptError, EventLogError, EventLogFullError, EventLogLockedError, RepositoryError } from './errors/storage.errors.js';
export { StreamEndedError, StreamOverflowError, SubscriberLimitError } from './errors/stream.errors.js';
export { TaskSystemError } from './errors/task-system.error.js';
export { EventLogService, FlushService, GuardService, RecoveryService } from './engine-services.js';
export { ExecutorService } from './executor/executor.service.js';
export { LastEventId, LastEventIds } from './http/last-event-id.decorator.js';
export { TaskEvents, TaskSse } from './http/task-sse.decorator.js';
export type { TaskSseManySelection, TaskSseSelect, TaskSseSelection } from './http/task-sse.gate.js';
export { TaskflowExceptionFilter } from './http/taskflow-exception.filter.js';
export { DeadLetterService } from './dead-letters/dead-letter.service.js';
export { StreamService } from './stream/stream.service.js';
export { TaskSystem } from './task-system.js';
export { type SubmitRequest, TasksController, type TasksControllerOptions, type TasksRoute } from './tasks-controller.js';
export { TaskflowModule, type TaskflowModuleAsyncOptions } from './taskflow.module.js';
export { createHooks } from './telemetry/create-hooks.js';
