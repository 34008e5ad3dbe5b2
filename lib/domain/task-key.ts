import { createHash } from 'node:crypto';
import type { IdempotencyKey, TaskId } from '../contracts/ids.js';

/**
 * A key, made unique over users: what reservations, overlay and custom repositories look up. A generated key is the task id itself,
 * which no scoped key can equal, as those contain a colon and no UUID does.
 */
export function scopedKey(id: TaskId, userId: string | null, key: string | null): IdempotencyKey {
  if (key === null) return id as string as IdempotencyKey;
  return (userId === null ? `n:${key}` : `u${userId.length}:${userId}:${key}`) as IdempotencyKey;
}

/** The inverse of `scopedKey`: the key that a caller knows. */
export function keyOfScoped(scoped: string): string {
  if (scoped.startsWith('n:')) return scoped.slice(2);
  const match = /^u(\d+):/.exec(scoped);
  return match === null ? scoped : scoped.slice(match[0].length + Number(match[1]) + 1);
}

/** What the unique index holds: SHA-256 of the scoped key, so that no key length or alphabet meets a database limit. */
export const keyHash = (scoped: string): string => createHash('sha256').update(scoped).digest('hex');
