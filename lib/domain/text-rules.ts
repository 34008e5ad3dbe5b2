import { ValidationError } from '../errors/request.errors.js';

/**
 * The one check of text that a caller gives. Control characters would reach logs, headers and lines of event streams; NUL is no text
 * for PostgreSQL, and SQLite ends there; a lone surrogate has no UTF-8, so that it is another text once it was stored.
 */
const UNFIT_IN_A_LINE = /[\p{Cc}\p{Surrogate}\u2028\u2029]/u;
/** Of free text, which may have tabs and line breaks. */
const UNFIT_IN_TEXT = /[^\P{Cc}\t\n\r]|\p{Surrogate}/u;
const UNSTORABLE = /\0|\p{Surrogate}/gu;
const MAX_NAME_CHARS = 200;

/** Why a value cannot be a line of text such as a key, a user id or a tag; undefined when it can. */
export function lineIssue(value: unknown, maxChars: number): string | undefined {
  if (typeof value !== 'string') return `must be a string, got ${value === null ? 'null' : typeof value}`;
  if (value === '') return 'must not be empty';
  if (value.length > maxChars) return `must be at most ${maxChars} characters, got ${value.length}`;
  return UNFIT_IN_A_LINE.test(value) ? 'must not contain control characters or lone surrogates' : undefined;
}

/** Why a value cannot name a task or a custom event; undefined when it can. */
export function nameIssue(name: unknown): string | undefined {
  if (typeof name !== 'string' || name === '') return `must be a string of 1 to ${MAX_NAME_CHARS} characters`;
  return lineIssue(name, MAX_NAME_CHARS);
}

/** For free text, such as a reason. @throws ValidationError unless it is a string of at most `maxChars` that every column can hold. */
export function requireText(field: string, value: unknown, maxChars: number): string {
  if (typeof value !== 'string' || value.length > maxChars)
    throw new ValidationError(field, `must be a string of at most ${maxChars} characters`);
  if (UNFIT_IN_TEXT.test(value))
    throw new ValidationError(field, 'must not contain control characters (but tabs and line breaks) or lone surrogates');
  return value;
}

/** Text that nobody can be asked to mend, such as the message of an error: what no column can hold becomes U+FFFD. */
export const storableText = (text: string): string => text.replace(UNSTORABLE, '\uFFFD');
