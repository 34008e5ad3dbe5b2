import { ValidationError } from '../errors/request.errors.js';
import { lineIssue } from './text-rules.js';

/** Undefined: trusted access, all owners. Null: tasks without an owner. */
export type Owner = string | null | undefined;

const MAX_ID_CHARS = 256;

/** @throws ValidationError unless the value is a string of 1 to 256 characters without control characters. */
export function requireIdentifier(field: string, value: unknown): string {
  const issue = lineIssue(value, MAX_ID_CHARS);
  if (issue !== undefined) throw new ValidationError(field, issue);
  return value as string;
}

/**
 * Who asks. Leave `userId` out for trusted access to all tasks. `userId: undefined`, which a guard that found no user gives, and misspelt names
 * such as `userID` are refused, so that a mistake never widens access.
 * @param names the options that the method has beside `userId`.
 * @throws ValidationError when `userId` is present but no user id and not null, and for a name that is no option of the method; as the
 * application's own fault when `userId` is undefined, and for options that are no object: a bare user id too.
 */
export function ownerOf(options: unknown, names: readonly string[] = []): Owner {
  if (options === undefined) return undefined;
  if (typeof options !== 'object' || options === null)
    throw new ValidationError(
      'options',
      `must be an object such as { userId }, got ${options === null ? 'null' : typeof options}`,
      'application',
    );
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
    throw new ValidationError(
      'userId',
      'is present but undefined, as where the guard is missing that sets it; leave it out for trusted access, or give null for "no owner"',
      'application',
    );
  return requireIdentifier('userId', userId);
}

/** Whether this owner may know of a task with that user id. */
export const mayKnow = (owner: Owner, userId: string | null): boolean => owner === undefined || owner === userId;
