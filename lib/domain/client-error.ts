import type { TaskErrorInfo } from '../contracts/task.interface.js';

/** Errors of ours that the same input brings up again, whose text is for developers and operators all the same. */
const FOR_OPERATORS: ReadonlySet<string> = new Set(['CALLED_WRONGLY', 'CONFIG_INVALID', 'HANDLER_NOT_FOUND']);

/**
 * Retryable errors whose message was written for whoever watches the task, by name and code: neither alone is enough, since foreign
 * libraries have errors of the same name. Errors of log and database are not among them: their messages may name files and hosts.
 * `TaskFailedError` is not either: its message repeats the other task's.
 */
const TYPED: Readonly<Record<string, string | undefined>> = {
  BackpressureError: 'BACKPRESSURE',
  NotFoundError: 'NOT_FOUND',
  RetryLaterError: undefined,
  ShuttingDownError: 'SHUTTING_DOWN',
  SlotTimeoutError: 'SLOT_TIMEOUT',
  StreamEndedError: 'STREAM_ENDED',
  StreamOverflowError: 'STREAM_OVERFLOW',
  SubscriberLimitError: 'SUBSCRIBER_LIMIT',
  TaskCancelledError: 'TASK_CANCELLED',
  TaskExpiredError: 'TASK_EXPIRED',
  TaskTimeoutError: 'TASK_TIMEOUT',
  ValidationError: 'VALIDATION_FAILED',
};
const CONFLICTS: ReadonlySet<string> = new Set([
  'IDEMPOTENCY_CONFLICT',
  'KEY_REUSED',
  'TASK_ENDED',
  'NOT_DEAD_LETTERED',
  'NOT_RETRYABLE',
  'RETRIES_EXHAUSTED',
  'HOME_ELSEWHERE',
]);

/** In place of a message that was not written for clients. */
const UNEXPECTED = 'An unexpected error occurred.';

/**
 * What clients are shown of an error that a task met: its name and code, and its message where it was thrown to be read: a typed error
 * of this package, or a NonRetryableError of the handler's (these two are what makes an error not retryable).
 */
export function errorForClients(error: TaskErrorInfo): TaskErrorInfo {
  const { name, message, code, retryable } = error;
  // What is behind an error was never written for clients.
  return { name, message: isForClients(error) ? message : UNEXPECTED, ...(code === undefined ? {} : { code }), retryable };
}

function isForClients({ name, code, retryable }: TaskErrorInfo): boolean {
  if (code !== undefined && FOR_OPERATORS.has(code)) return false;
  if (!retryable) return true;
  if (name === 'ConflictError') return code !== undefined && CONFLICTS.has(code);
  return Object.hasOwn(TYPED, name) && TYPED[name] === code;
}

/** The payload of an `error` or `retry` event as clients are shown it; any other as it is. */
export function payloadForClients(type: string, payload: unknown): unknown {
  if (type !== 'error' && type !== 'retry') return payload;
  const { error } = (payload ?? {}) as { readonly error?: TaskErrorInfo };
  return error === undefined || error === null ? payload : { ...(payload as object), error: errorForClients(error) };
}
