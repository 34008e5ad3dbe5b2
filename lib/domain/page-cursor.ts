import { ValidationError } from '../errors/request.errors.js';

/** Where the next page of a list begins: after this position. `count`: items handed out before it. */
export interface PageCursor {
  readonly at: number;
  readonly id: string;
  readonly count: number;
}

const DEFAULT_LIMIT = 50;
const MAX_LIMIT = 500;

export function encodeCursor(cursor: PageCursor): string {
  return Buffer.from(`${cursor.at}.${cursor.count}.${cursor.id}`).toString('base64url');
}

/** @throws ValidationError for anything that `encodeCursor` did not make. */
export function decodeCursor(text: string | undefined): PageCursor | undefined {
  if (text === undefined) return undefined;
  const match =
    typeof text === 'string' && text.length <= 256
      ? /^(\d{1,16})\.(\d{1,9})\.([0-9a-f-]{36})$/.exec(Buffer.from(text, 'base64url').toString())
      : null;
  if (match === null) throw new ValidationError('cursor', 'is not a cursor that an earlier page gave');
  return { at: Number(match[1]), count: Number(match[2]), id: match[3]! };
}

/** @throws ValidationError unless it is an integer from 1 to 500; default 50. */
export function pageLimit(limit: number | undefined): number {
  if (limit === undefined) return DEFAULT_LIMIT;
  if (!Number.isInteger(limit) || limit < 1 || limit > MAX_LIMIT)
    throw new ValidationError('limit', `must be an integer from 1 to ${MAX_LIMIT}`);
  return limit;
}
