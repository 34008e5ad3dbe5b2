import { ValidationError } from '../errors/request.errors.js';

/**
 * Where a client stands in the streams of many tasks: position by task id. As text, which is the id of every message of such a stream:
 * `key:position,key:position …`, where a key is a task id or its 16 bytes in base64url, since the text goes with every event.
 */
export type StreamCursors = Readonly<Record<string, number>>;

/** Not a task: the time (epoch ms) from which on tasks that are not named are new to the client. */
export const SINCE = '*';
/** Not a task either: the message's number on its connection. */
const NUMBER = '#';

const MAX_ENTRIES = 500;
const MAX_CHARS = 32 * 1024;
const KEY = /^([\w-]{1,64}|[*#])$/;
const DIGITS = /^\d{1,16}$/;
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;
const SHORT = /^[\w-]{22}$/;

export const shortKey = (taskId: string): string =>
  UUID.test(taskId) ? Buffer.from(taskId.replaceAll('-', ''), 'hex').toString('base64url') : taskId;

function longKey(key: string): string {
  if (!SHORT.test(key)) return key;
  return Buffer.from(key, 'base64url')
    .toString('hex')
    .replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-');
}

export const cursorText = (number: number, entries: readonly string[]): string => [`${NUMBER}:${number}`, ...entries].join();
export const cursorEntry = (key: string, position: number): string => `${key}:${position}`;

/** Which message of its connection has this id; undefined: none. */
export function messageNumberOf(id: string): number | undefined {
  const number = /^#:(\d{1,16})(?:,|$)/.exec(id)?.[1];
  return number === undefined ? undefined : Number(number);
}

/** @throws ValidationError (field `Last-Event-ID`) for what is no such text. */
export function parseCursors(text: string): StreamCursors {
  const wrong = (): never => {
    throw new ValidationError('Last-Event-ID', 'must be the id of a message of this stream, or taskId:seq,taskId:seq …');
  };
  if (text.length > MAX_CHARS) wrong();
  const cursors = new Map<string, number>();
  for (const entry of text.split(',')) {
    const colon = entry.lastIndexOf(':');
    const [key, digits] = [entry.slice(0, Math.max(colon, 0)), entry.slice(colon + 1)];
    const taskId = longKey(key);
    if (!KEY.test(key) || !DIGITS.test(digits) || cursors.has(taskId)) wrong();
    cursors.set(taskId, Number(digits));
  }
  cursors.delete(NUMBER);
  return Object.fromEntries(checkCursors(Object.fromEntries(cursors), 'Last-Event-ID'));
}

/** @throws ValidationError naming the field unless it is an object of at most 500 positions, 0, 1, 2 … up to 2^53 - 1. */
export function checkCursors(cursors: unknown, field = 'cursors'): Map<string, number> {
  if (cursors === undefined) return new Map();
  if (typeof cursors !== 'object' || cursors === null || Array.isArray(cursors))
    throw new ValidationError(field, 'must be an object of positions by task id');
  const entries = Object.entries(cursors as Record<string, unknown>);
  if (entries.length > MAX_ENTRIES) throw new ValidationError(field, `must not name more than ${MAX_ENTRIES} tasks`);
  for (const [, position] of entries)
    if (!Number.isSafeInteger(position) || (position as number) < 0)
      throw new ValidationError(field, 'must hold non-negative safe integers only');
  return new Map(entries as [string, number][]);
}
