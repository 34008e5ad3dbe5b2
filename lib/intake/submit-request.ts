import type { RegisteredHandler } from '../contracts/handler-registry.interface.js';
import type { SubmitParams } from '../contracts/task-system.interface.js';
import { requireIdentifier, userOf } from '../domain/owner.js';
import { ValidationError } from '../errors/request.errors.js';

const KNOWN = new Set<string>([
  'input',
  'userId',
  'idempotencyKey',
  'runAt',
  'delayMs',
  'priority',
  'tags',
  'timeoutMs',
  'maxAttempts',
  'waitForSlot',
] satisfies (keyof SubmitParams<unknown>)[]);
const MAX_TAGS = 32;
const NO_TAGS: readonly string[] = Object.freeze([]);
const MAX_PRIORITY = 1_000_000;
/** Year 9999: what every database and ISO string can hold. */
const MAX_TIME = 253_402_300_799_999;
const MAX_DURATION_MS = 2 ** 31 - 1;

/** A submit with everything but its input checked and defaulted. Times are epoch ms. */
export interface SubmitRequest {
  readonly userId: string | null;
  readonly key: string | null;
  /** Undefined: at once. */
  readonly runAt: number | undefined;
  readonly priority: number;
  readonly tags: readonly string[];
  readonly timeoutMs: number;
  readonly maxAttempts: number;
  readonly waitForSlot: boolean;
}

/** @throws ValidationError naming the first field at fault. */
export function parseSubmit(params: SubmitParams<unknown>, handler: RegisteredHandler, now: number): SubmitRequest {
  if (typeof params !== 'object' || params === null) throw new ValidationError('params', 'must be an object with an input');
  for (const name of Object.keys(params)) if (!KNOWN.has(name)) throw new ValidationError(name, 'is not a parameter of submit');
  const { idempotencyKey, priority, waitForSlot } = params;
  const runAt = runAtOf(params, now);
  if (waitForSlot !== undefined && typeof waitForSlot !== 'boolean') throw new ValidationError('waitForSlot', 'must be a boolean');
  if (waitForSlot === true && runAt !== undefined) throw new ValidationError('waitForSlot', 'cannot be combined with runAt or delayMs');
  return {
    userId: userOf(params) ?? null,
    key: idempotencyKey === undefined ? null : requireIdentifier('idempotencyKey', idempotencyKey),
    runAt,
    priority: priority === undefined ? 0 : integer('priority', priority, -MAX_PRIORITY, MAX_PRIORITY),
    tags: params.tags === undefined ? NO_TAGS : tagsOf(params.tags),
    timeoutMs: params.timeoutMs === undefined ? handler.timeoutMs : integer('timeoutMs', params.timeoutMs, 1, MAX_DURATION_MS),
    maxAttempts: params.maxAttempts === undefined ? handler.retry.maxAttempts : integer('maxAttempts', params.maxAttempts, 1, 1_000),
    waitForSlot: waitForSlot ?? false,
  };
}

function runAtOf(params: SubmitParams<unknown>, now: number): number | undefined {
  const { runAt, delayMs } = params;
  if (runAt !== undefined && delayMs !== undefined) throw new ValidationError('delayMs', 'cannot be combined with runAt');
  if (runAt !== undefined) {
    if (!(runAt instanceof Date) || Number.isNaN(runAt.getTime())) throw new ValidationError('runAt', 'must be a valid Date');
    return withinTime('runAt', runAt.getTime());
  }
  if (delayMs === undefined || delayMs === 0) return undefined;
  return withinTime('delayMs', now + integer('delayMs', delayMs, 0, MAX_TIME));
}

function withinTime(field: string, at: number): number {
  if (at < 0 || at > MAX_TIME) throw new ValidationError(field, 'must lie between the years 1970 and 9999');
  return at;
}

function integer(field: string, value: unknown, min: number, max: number): number {
  if (typeof value !== 'number' || !Number.isInteger(value) || value < min || value > max) {
    throw new ValidationError(field, `must be an integer from ${min} to ${max}, got ${typeof value === 'number' ? value : typeof value}`);
  }
  return value;
}

function tagsOf(tags: unknown): readonly string[] {
  if (!Array.isArray(tags)) throw new ValidationError('tags', 'must be an array of strings');
  if (tags.length > MAX_TAGS) throw new ValidationError('tags', `must have at most ${MAX_TAGS} members, got ${tags.length}`);
  return [...new Set(tags.map((tag, at) => requireIdentifier(`tags[${at}]`, tag)))];
}
