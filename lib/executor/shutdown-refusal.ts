import { ShuttingDownError } from '../errors/admission.errors.js';

/** Errors looked at: whatever a handler throws, the walk ends. */
const MAX_ERRORS = 64;

/** True when a `ShuttingDownError` is the error, or among its causes and inner errors. */
export function isShutdownRefusal(error: unknown): boolean {
  const queue: unknown[] = [error];
  for (let at = 0; at < queue.length && at < MAX_ERRORS; at++) {
    const next = queue[at];
    if (ShuttingDownError.is(next)) return true;
    queue.push(...innerErrors(next));
  }
  return false;
}

function innerErrors(error: unknown): unknown[] {
  if (typeof error !== 'object' || error === null) return [];
  try {
    const { cause, errors } = error as { cause?: unknown; errors?: unknown };
    return [cause, ...(Array.isArray(errors) ? errors.slice(0, MAX_ERRORS) : [])];
  } catch {
    return []; // a getter of the user's
  }
}
