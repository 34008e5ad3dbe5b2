/** The options as given; only the resolver reads them. */
export const TASKFLOW_OPTIONS_INPUT = Symbol.for('nestjs-taskflow/options-input');
/** The options as the engine reads them: defaulted, validated, frozen. */
export const TASKFLOW_OPTIONS = Symbol.for('nestjs-taskflow/options');
export const CLOCK = Symbol.for('nestjs-taskflow/clock');
export const ID_SOURCE = Symbol.for('nestjs-taskflow/id-source');
export const LOG_FILE_SYSTEM = Symbol.for('nestjs-taskflow/log-file-system');
/** `Engine`. The tokens of its contracts give its members. */
export const ENGINE = Symbol.for('nestjs-taskflow/engine');
export const FACT_PORT = Symbol.for('nestjs-taskflow/fact-port');
export const CHANGE_FEED = Symbol.for('nestjs-taskflow/change-feed');
export const TASK_CREATOR = Symbol.for('nestjs-taskflow/task-creator');
export const TASK_QUERIES = Symbol.for('nestjs-taskflow/task-queries');
/** `TaskSystem`, for the floors below it: the streams of `@TaskSse`. */
export const TASK_MESSAGE_SOURCE = Symbol.for('nestjs-taskflow/task-message-source');
/** What stands before the queue of the local engine: nothing, or a test's gate. */
export const QUEUE_GATE = Symbol.for('nestjs-taskflow/queue-gate');
export const WORK_FEED = Symbol.for('nestjs-taskflow/work-feed');
export const TELEMETRY = Symbol.for('nestjs-taskflow/telemetry');
/** Any Nest `LoggerService`. */
export const LOGGER = Symbol.for('nestjs-taskflow/logger');
