import type { ShutdownOptions } from './contracts/task-system.interface.js';
import { ValidationError } from './errors/request.errors.js';

/** @throws ValidationError: a slip here would end running tasks at once. */
export function checkedShutdown(options: ShutdownOptions): ShutdownOptions {
  if (typeof options !== 'object' || options === null) throw new ValidationError('options', 'must be an object such as { timeoutMs }');
  const { timeoutMs, force } = options;
  if (timeoutMs !== undefined && !(typeof timeoutMs === 'number' && timeoutMs >= 0))
    throw new ValidationError('timeoutMs', 'must be a number of milliseconds, 0 or more');
  if (force !== undefined && typeof force !== 'boolean') throw new ValidationError('force', 'must be a boolean');
  return options;
}
