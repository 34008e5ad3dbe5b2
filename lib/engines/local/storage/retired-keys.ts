import { inChunks, insertRows } from '../../../repository/multi-row.js';
import type { RowReader, SqlSession } from '../../../repository/sql-session.interface.js';
import { keyHash, scopedKey } from '../../../domain/task-key.js';
import { nextKeyBase, type TaskState } from '../../../domain/task-state.js';

/** A key whose task was pruned. */
export interface RetiredKey {
  readonly keyHash: string;
  /** `keyBase` of the next task. */
  readonly base: number;
  readonly at: number;
}

const COLUMNS = 3;
/** After that long no client is expected to come back with a position in the stream of a task that was pruned. */
const KEPT_MS = 30 * 86_400_000;
/** At least; and always more than a batch adds, so that what is kept follows what is pruned, whatever the batches are. */
const FORGOTTEN_AT_ONCE = 1_000;

/** @param scopedKeys chosen and generated ones; only chosen ones can be known. */
export async function readKeyBases(session: RowReader, scopedKeys: readonly string[]): Promise<Map<string, number>> {
  const found = new Map<string, number>();
  const keys = new Map(scopedKeys.filter((key) => key.includes(':')).map((key) => [keyHash(key), key]));
  await inChunks(session, [...keys.keys()], async (places, hashes) => {
    const sql = `SELECT "key_hash", "base" FROM ${session.tables.retiredKeys} WHERE "key_hash" IN (${places})`;
    for (const row of await session.rows(sql, hashes)) found.set(keys.get(row['key_hash'] as string)!, Number(row['base']));
  });
  return found;
}

/** Of a quarantined task that is pruned: no key, or given to a newer task, nothing. */
export function retiredKeyOf(task: TaskState, at: number): RetiredKey[] {
  if (task.key === null || task.supersededBy !== null) return [];
  return [{ keyHash: keyHash(scopedKey(task.id, task.userId, task.key)), base: nextKeyBase(task), at }];
}

/** Remembers them, and forgets some that are old. */
export async function retireKeys(session: SqlSession, retired: readonly RetiredKey[]): Promise<void> {
  if (retired.length === 0) return;
  const table = session.tables.retiredKeys;
  // The last one of a key counts, as a statement must not meet the same row twice.
  const newest = new Map(retired.map((each) => [each.keyHash, each]));
  await insertRows(
    session,
    `INSERT INTO ${table} AS held ("key_hash", "base", "retired_at")`,
    COLUMNS,
    [...newest.values()].flatMap(({ keyHash: hash, base, at }) => [hash, base, at]),
    'ON CONFLICT ("key_hash") DO UPDATE SET "base" = excluded."base", "retired_at" = excluded."retired_at" WHERE held."base" <= excluded."base"',
  );
  const before = Math.max(...retired.map(({ at }) => at)) - KEPT_MS;
  const old = `SELECT "key_hash" FROM ${table} WHERE "retired_at" < ? ORDER BY "retired_at" LIMIT ${Math.max(FORGOTTEN_AT_ONCE, 2 * newest.size)}`;
  await session.run(`DELETE FROM ${table} WHERE "key_hash" IN (${old})`, [before]);
}
