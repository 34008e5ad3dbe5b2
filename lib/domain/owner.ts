import { ValidationError } from '../errors/request.errors.js';

/** Undefined: trusted access, all owners. Null: tasks without an owner. */
export type Owner = string | null | undefined;

const MAX_ID_CHARS = 256;
/** Control characters would reach logs and headers; a lone surrogate has no UTF-8, so that two of them would hash alike. */
const UNFIT = /[\p{Cc}\p{Surrogate}\u2028\u2029]/u;

/** @throws ValidationError unless the value is a string of 1 to 256 characters without control characters. */
export function requireIdentifier(field: string, value: unknown): string {
  if (typeof value !== 'string') throw new ValidationError(field, `must be a string, got ${value === null ? 'null' : typeof value}`);
  if (value === '') throw new ValidationError(field, 'must not be empty');
  if (value.length > MAX_ID_CHARS) throw new ValidationError(field, `must be at most ${MAX_ID_CHARS} characters, got ${value.length}`);
  if (UNFIT.test(value)) throw new ValidationError(field, 'must not contain control characters or lone surrogates');
  return value;
}

/**
 * Who asks. Trusted access is the absence of the property: neither a guard that yields `undefined` nor a `userID` may open every task.
 * @param names the options that the method has beside `userId`.
 * @throws ValidationError when `userId` is present but no user id and not null, for a name that is no option of the method, and for
 * options that are no object: a bare user id too.
 */
export function ownerOf(options: unknown, names: readonly string[] = []): Owner {
  if (options === undefined) return undefined;
  if (typeof options !== 'object' || options === null)
    throw new ValidationError('options', `must be an object such as { userId }, got ${options === null ? 'null' : typeof options}`);
  for (const name of Object.keys(options)) {
    if (name !== 'userId' && !names.includes(name))
      throw new ValidationError(name, `is not an option of this method, which takes ${['userId', ...names].join(', ')}`);
  }
  return userOf(options);
}

/**
 * The `userId` of an object whose other members were looked at.
 * @throws ValidationError when it is present but no user id and not null.
 */
export function userOf(options: object): Owner {
  if (!('userId' in options)) return undefined;
  const { userId } = options;
  if (userId === null) return null;
  if (userId === undefined)
    throw new ValidationError('userId', 'is present but undefined; leave it out for trusted access, or give null for "no owner"');
  return requireIdentifier('userId', userId);
}

/** Whether this owner may know of a task with that user id. */
export const mayKnow = (owner: Owner, userId: string | null): boolean => owner === undefined || owner === userId;
