import { EventLogError, EventLogFullError } from '../../../errors/storage.errors.js';
import { TaskSystemError } from '../../../errors/task-system.error.js';
import { isFull, messageOf } from './disk-error.js';
import { SegmentFileError } from './segment-file.js';

/** An error of open, with what to do about it. */
export function openError(error: unknown): unknown {
  if (TaskSystemError.is(error)) return error;
  const cause = error instanceof SegmentFileError ? error.cause : error;
  if (isFull(cause))
    return new EventLogFullError(
      `The event log cannot be opened: there is no room (${messageOf(cause)}). Make room and start again.`,
      1000,
      { cause },
    );
  return new EventLogError('failed', 'none', `The event log cannot be opened: ${messageOf(cause)}`, { cause });
}

/** An error of a read; it says nothing about later reads. */
export function readError(error: unknown): never {
  if (TaskSystemError.is(error)) throw error;
  throw new EventLogError('failed', 'none', `The event log cannot be read: ${messageOf(error)}`, { cause: error });
}
