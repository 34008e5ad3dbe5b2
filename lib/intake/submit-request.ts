import type { RegisteredHandler } from '../contracts/handler-registry.interface.js';
import type { SubmitRequest } from '../contracts/submission.interface.js';
import type { SubmitParams } from '../contracts/task-system.interface.js';
import { MAX_ATTEMPTS, MAX_DURATION_MS, MAX_TIME, requireDate, requireInteger, requireTime } from '../domain/bounds.js';
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
  'keyReuse',
  'expiresAt',
  'expiresInMs',
  'admission',
  'manager',
  'waitForSlot',
] satisfies (keyof SubmitParams<unknown>)[]);
const MAX_TAGS = 32;
const NO_TAGS: readonly string[] = Object.freeze([]);
const MAX_PRIORITY = 1_000_000;

/** @throws ValidationError naming the first field at fault. */
export function parseSubmit(params: SubmitParams<unknown>, handler: RegisteredHandler, now: number): SubmitRequest {
  if (typeof params !== 'object' || params === null) throw new ValidationError('params', 'must be an object with an input', 'application');
  for (const name of Object.keys(params)) if (!KNOWN.has(name)) throw new ValidationError(name, 'is not a parameter of submit');
  const { idempotencyKey, priority, waitForSlot } = params;
  const runAt = runAtOf(params, now);
  if (waitForSlot !== undefined && typeof waitForSlot !== 'boolean') throw new ValidationError('waitForSlot', 'must be a boolean');
  if (waitForSlot === true && runAt !== undefined) throw new ValidationError('waitForSlot', 'cannot be combined with runAt or delayMs');
  return {
    userId: userOf(params) ?? null,
    key: idempotencyKey === undefined ? null : requireIdentifier('idempotencyKey', idempotencyKey),
    keyReuse: keyReuseOf(params.keyReuse),
    runAt,
    delayMs: runAt === undefined ? undefined : params.delayMs,
    expiresAt: expiresAtOf(params, now),
    isTrusted: isTrusted(params.admission),
    priority: priority === undefined ? 0 : requireInteger('priority', priority, -MAX_PRIORITY, MAX_PRIORITY),
    tags: params.tags === undefined ? NO_TAGS : tagsOf(params.tags),
    timeoutMs: params.timeoutMs === undefined ? handler.timeoutMs : requireInteger('timeoutMs', params.timeoutMs, 1, MAX_DURATION_MS),
    maxAttempts:
      params.maxAttempts === undefined ? handler.retry.maxAttempts : requireInteger('maxAttempts', params.maxAttempts, 1, MAX_ATTEMPTS),
    waitForSlot: waitForSlot ?? false,
  };
}

function runAtOf(params: SubmitParams<unknown>, now: number): number | undefined {
  const { runAt, delayMs } = params;
  if (runAt !== undefined && delayMs !== undefined) throw new ValidationError('delayMs', 'cannot be combined with runAt');
  if (runAt !== undefined) return requireDate('runAt', runAt);
  if (delayMs === undefined || delayMs === 0) return undefined;
  return requireTime('delayMs', now + requireInteger('delayMs', delayMs, 0, MAX_TIME));
}

/** A time that is past already is no error: who hands on a deadline cannot know how long the call will take. */
function expiresAtOf({ expiresAt, expiresInMs }: SubmitParams<unknown>, now: number): number | undefined {
  if (expiresAt !== undefined && expiresInMs !== undefined) throw new ValidationError('expiresInMs', 'cannot be combined with expiresAt');
  if (expiresAt !== undefined) return requireDate('expiresAt', expiresAt);
  return expiresInMs === undefined ? undefined : requireTime('expiresInMs', now + requireInteger('expiresInMs', expiresInMs, 1, MAX_TIME));
}

function keyReuseOf(keyReuse: unknown): SubmitRequest['keyReuse'] {
  if (keyReuse === undefined) return 'never';
  if (keyReuse === 'never' || keyReuse === 'unsuccessful' || keyReuse === 'ended') return keyReuse;
  throw new ValidationError('keyReuse', "must be 'never', 'unsuccessful' or 'ended'");
}

function isTrusted(admission: unknown): boolean {
  if (admission !== undefined && admission !== 'user' && admission !== 'trusted')
    throw new ValidationError('admission', "must be 'user' or 'trusted'");
  return admission === 'trusted';
}

/** @throws ValidationError in an engine whose tasks are durable elsewhere than in the database, and beside what needs a commit of its own. */
export function managerOf({ manager, waitForSlot }: SubmitParams<unknown>, engine: 'local' | 'cluster'): object | undefined {
  if (manager === undefined) return undefined;
  if (engine === 'local')
    throw new ValidationError(
      'manager',
      "needs the engine 'cluster': here a task is durable in the event log, which no transaction of the database can roll back. Submit after the commit, or leave it out.",
    );
  if (typeof manager !== 'object' || manager === null)
    throw new ValidationError('manager', 'must be an EntityManager of TypeORM', 'application');
  if (waitForSlot === true) throw new ValidationError('waitForSlot', 'cannot be combined with manager: the task starts after the commit');
  return manager;
}

function tagsOf(tags: unknown): readonly string[] {
  if (!Array.isArray(tags)) throw new ValidationError('tags', 'must be an array of strings');
  if (tags.length > MAX_TAGS) throw new ValidationError('tags', `must have at most ${MAX_TAGS} members, got ${tags.length}`);
  return [...new Set(Array.from(tags, (tag, at) => requireIdentifier(`tags[${at}]`, tag)))];
}
