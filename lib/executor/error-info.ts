import type { TaskErrorCause, TaskErrorInfo } from '../contracts/task.interface.js';
import { errorMessageOf, errorNameOf, type ErrorParts, memberOf, partsOf } from '../domain/error-parts.js';
import { storableText } from '../domain/text-rules.js';
import { ConfigValidationError } from '../errors/config.errors.js';
import { NonRetryableError } from '../errors/execution.errors.js';
import { HandlerNotFoundError, ValidationError } from '../errors/request.errors.js';

/** What an error may take at most in log and row, whatever the limits allow. */
const MAX_ERROR_BYTES = 8192;
const MAX_NAME_CHARS = 100;
/** Of the message of an error behind the one that was thrown. */
const MAX_CAUSE_CHARS = 500;
const ELLIPSIS = '…';

/**
 * What is kept of whatever a handler threw. Never throws, and never needs more than `maxBytes` as JSON (at least 512), so that
 * the entry which carries it always fits.
 */
export function errorInfoOf(thrown: unknown, maxBytes: number): TaskErrorInfo {
  const limit = Math.min(Math.max(maxBytes, 512), MAX_ERROR_BYTES);
  const parts = partsOf(thrown);
  // Cut before it is looked at: a text of hundreds of megabytes has no JSON.
  const info: TaskErrorInfo = { ...describe(thrown, MAX_ERROR_BYTES), retryable: isRetryable(thrown) };
  if (parts.cause === undefined && parts.inner.length === 0) return fitted(info, limit);
  for (const maxChars of [MAX_CAUSE_CHARS, MAX_CAUSE_CHARS / 4]) {
    const whole = { ...info, ...behind(parts, maxChars) };
    if (sizeOf(whole) <= limit) return whole;
  }
  return fitted(info, limit);
}

function describe(thrown: unknown, maxChars: number): Pick<TaskErrorInfo, 'name' | 'message' | 'code'> {
  const code = memberOf(thrown, 'code');
  return {
    name: textOf(errorNameOf(thrown), MAX_NAME_CHARS),
    message: textOf(errorMessageOf(thrown), maxChars),
    ...(typeof code === 'string' || typeof code === 'number' ? { code: textOf(String(code), MAX_NAME_CHARS) } : {}),
  };
}

function behind({ cause, inner }: ErrorParts, maxChars: number): Pick<TaskErrorCause, 'cause' | 'errors'> {
  const of = (parts: ErrorParts): TaskErrorCause => ({ ...describe(parts.error, maxChars), ...behind(parts, maxChars) });
  return { ...(cause === undefined ? {} : { cause: of(cause) }), ...(inner.length === 0 ? {} : { errors: inner.map(of) }) };
}

const sizeOf = (info: TaskErrorInfo): number => Buffer.byteLength(JSON.stringify(info));

/** Errors that the same input brings up again at every attempt. */
function isRetryable(thrown: unknown): boolean {
  try {
    return !(
      NonRetryableError.is(thrown) ||
      ValidationError.is(thrown) ||
      HandlerNotFoundError.is(thrown) ||
      ConfigValidationError.is(thrown)
    );
  } catch {
    return true; // a foreign object that cannot be looked at
  }
}

function fitted(info: TaskErrorInfo, maxBytes: number): TaskErrorInfo {
  let candidate = info;
  // A character takes up to six bytes when it is escaped, so that a cut is tried until it fits.
  for (let chars = maxBytes; sizeOf(candidate) > maxBytes; chars = Math.floor(chars / 2)) {
    candidate = { ...info, message: cut(info.message, chars) };
    // Names and codes are foreign text too: the last resort keeps only that there was an error.
    if (chars === 0) return { name: 'Error', message: '', retryable: info.retryable };
  }
  return candidate;
}

const textOf = (text: string, maxChars: number): string => storableText(cut(text, maxChars));

function cut(text: string, maxChars: number): string {
  if (text.length <= maxChars) return text;
  const last = text.charCodeAt(maxChars - 1);
  return text.slice(0, last >= 0xd800 && last <= 0xdbff ? maxChars - 1 : maxChars) + ELLIPSIS;
}
