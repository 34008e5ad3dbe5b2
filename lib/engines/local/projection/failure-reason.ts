import { TaskSystemError } from '../../../errors/task-system.error.js';

/**
 * What may be said about a failure in logs and statistics. Messages of drivers can quote values of a row, so that only
 * their name and code are kept; our own messages are written to be read.
 */
export function failureReason(error: unknown): string {
  if (error instanceof TaskSystemError) return error.message;
  if (!(error instanceof Error)) return 'unknown failure';
  const code: unknown = Reflect.get(error, 'code') ?? Reflect.get(error, 'errno');
  if (typeof code === 'string' || typeof code === 'number') return `${error.name} (${code})`;
  const place = /\bat .*?([^/\\]+:\d+):\d+\)?$/m.exec(error.stack ?? '')?.[1];
  return place === undefined ? error.name : `${error.name} at ${place}`;
}
