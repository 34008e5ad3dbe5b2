import { EventLogCorruptError, RepositoryError } from '../../../errors/storage.errors.js';
import { FencedWriterError } from '../storage/flush.errors.js';

/**
 * Failures that no waiting can cure: somebody else writes, the histories differ, or the log is damaged. All else is tried
 * again, what is unknown too: a log that waits loses nothing, one that was given up might.
 */
export function endsFlushing(error: unknown): error is Error {
  if (error instanceof FencedWriterError || EventLogCorruptError.is(error)) return true;
  return RepositoryError.is(error) && error.code === 'HISTORY_MISMATCH';
}
