import { types } from 'node:util';
import { ValidationError } from '../errors/request.errors.js';

/** Counters are 32-bit integers in the database. */
export const MAX_COUNT = 2 ** 31 - 1;
/** Tasks that wait for a slot, and as many for a time: the queue numbers both together with 32 bits. */
export const MAX_WAITING = 1_000_000_000;
/** Far below `MAX_COUNT`: a task's fence, which is such an integer too, grows with every attempt and with every crash. */
export const MAX_ATTEMPTS = 1_000_000;
/** What one timer of Node can wait: 24.8 days. For pauses, and for waits that are not asked for again. Unit: ms. */
export const MAX_TIMER_MS = 2 ** 31 - 1;
/** A hundred years: added to any time of today it is a date that every database holds. Unit: ms. */
export const MAX_DURATION_MS = 3_155_760_000_000;
/** The last moment of the year 9999: what every database and every ISO text can hold. Epoch ms. */
export const MAX_TIME = 253_402_300_799_999;
/** Beyond it sums of bytes are no longer exact. */
export const MAX_BYTES = Number.MAX_SAFE_INTEGER;
/** Entries that reach the disk together, as the log writes them. */
export const MAX_FRAME_BODY_BYTES = 8 * 1024 * 1024;
/** An input, a payload or a result: the rest of a frame is for what stands beside it, such as key, user and tags at their longest. */
export const MAX_BODY_BYTES = MAX_FRAME_BODY_BYTES - 64 * 1024;
/** Objects and arrays inside one another: each level takes stack wherever the value is read. */
export const MAX_NESTING = 1_000;

/** @throws ValidationError unless the value is an integer from `min` to `max`. */
export function requireInteger(field: string, value: unknown, min: number, max: number): number {
  if (typeof value !== 'number' || !Number.isInteger(value) || value < min || value > max) {
    throw new ValidationError(field, `must be an integer from ${min} to ${max}, got ${typeof value === 'number' ? value : typeof value}`);
  }
  return value;
}

/** The epoch ms of a Date. @throws ValidationError unless it is a valid one between the years 1970 and 9999. */
export function requireDate(field: string, value: unknown): number {
  // By the class's own method: a subclass may answer with anything.
  const at = types.isDate(value) ? Date.prototype.getTime.call(value) : Number.NaN;
  if (Number.isNaN(at)) throw new ValidationError(field, 'must be a valid Date');
  return requireTime(field, at);
}

/** @param at epoch ms. @throws ValidationError unless it lies between the years 1970 and 9999. */
export function requireTime(field: string, at: number): number {
  if (at < 0 || at > MAX_TIME) throw new ValidationError(field, 'must lie between the years 1970 and 9999');
  return at;
}

/** A delay that an error asks for. Errors are made by anyone, of any number: undefined where it is no delay, or leads beyond any date. */
export function delayOf(afterMs: unknown): number | undefined {
  return typeof afterMs === 'number' && afterMs >= 0 && afterMs <= MAX_DURATION_MS ? Math.ceil(afterMs) : undefined;
}
