import type { TaskErrorInfo } from '../contracts/task.interface.js';
import { storableText } from '../domain/text-rules.js';
import { ConfigValidationError } from '../errors/config.errors.js';
import { NonRetryableError } from '../errors/execution.errors.js';
import { HandlerNotFoundError, ValidationError } from '../errors/request.errors.js';

/** What an error may take at most in log and row, whatever the limits allow. */
const MAX_ERROR_BYTES = 8192;
const MAX_NAME_CHARS = 100;
const ELLIPSIS = '…';

/**
 * What is kept of whatever a handler threw. Never throws, and never needs more than `maxBytes` as JSON (at least 512), so that
 * the entry which carries it always fits.
 */
export function errorInfoOf(thrown: unknown, maxBytes: number): TaskErrorInfo {
  const code = read(thrown, 'code');
  const info: TaskErrorInfo = {
    name: textOf(nameOf(thrown), MAX_NAME_CHARS),
    // Cut before it is looked at: a text of hundreds of megabytes has no JSON.
    message: textOf(messageOf(thrown), MAX_ERROR_BYTES),
    ...(typeof code === 'string' || typeof code === 'number' ? { code: textOf(String(code), MAX_NAME_CHARS) } : {}),
    retryable: isRetryable(thrown),
  };
  return fitted(info, Math.min(Math.max(maxBytes, 512), MAX_ERROR_BYTES));
}

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
  for (let chars = maxBytes; Buffer.byteLength(JSON.stringify(candidate)) > maxBytes; chars = Math.floor(chars / 2)) {
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

function nameOf(thrown: unknown): string {
  const name = read(thrown, 'name');
  return typeof name === 'string' && name !== '' ? name : 'Error';
}

function messageOf(thrown: unknown): string {
  const message = read(thrown, 'message');
  if (typeof message === 'string') return message;
  try {
    return typeof thrown === 'object' && thrown !== null ? (JSON.stringify(thrown) ?? '') : String(thrown);
  } catch {
    return 'A value was thrown that cannot be shown.';
  }
}

/** Getters of foreign objects may throw; an error about an error helps nobody. */
function read(thrown: unknown, key: string): unknown {
  if ((typeof thrown !== 'object' && typeof thrown !== 'function') || thrown === null) return undefined;
  try {
    return Reflect.get(thrown, key);
  } catch {
    return undefined;
  }
}
