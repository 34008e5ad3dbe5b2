import { keyHash, scopedKey } from '../../../domain/task-key.js';
import type { TaskState } from '../../../domain/task-state.js';
import { keyHolderIds } from './rejected/dead-entry-rows.js';
import { inChunks } from '../../../repository/multi-row.js';
import { quarantinedColumn, type QuarantinedTasks } from './rejected/quarantined-tasks.js';
import type { RowReader } from '../../../repository/sql-session.interface.js';
import { stateOfRow, taskColumns } from '../../../repository/task-row.mapper.js';

/** Who holds these scoped keys, with bodies. */
export async function findByKeys(
  session: RowReader,
  quarantined: QuarantinedTasks,
  scopedKeys: readonly string[],
): Promise<Map<string, TaskState>> {
  // A generated key is the task id; only a chosen one has a hash.
  const chosen = scopedKeys.filter((key) => key.includes(':'));
  const found = await findChosen(session, quarantined, new Map(chosen.map((key) => [keyHash(key), key])));
  const generated = await quarantined.findByIds(scopedKeys.filter((key) => !key.includes(':')));
  for (const state of generated.values()) if (state.key === null) found.set(scopedKey(state.id, state.userId, null), state);
  return found;
}

async function findChosen(
  session: RowReader,
  quarantined: QuarantinedTasks,
  keys: ReadonlyMap<string, string>,
): Promise<Map<string, TaskState>> {
  const found = new Map<string, TaskState>();
  await inChunks(session, [...keys.keys()], async (places, values) => {
    const sql = `SELECT ${taskColumns(session.dialect)}, "key_hash", ${quarantinedColumn(session)} FROM ${session.tables.tasks} AS t WHERE "key_hash" IN (${places})`;
    for (const row of await session.rows(sql, values))
      if (!row['quarantined']) found.set(keys.get(row['key_hash'] as string)!, stateOfRow(row));
  });
  // Before a key is called free: a task may be quarantined with its `created`.
  const holders = await keyHolderIds(
    session,
    [...keys].filter(([, key]) => !found.has(key)).map(([hash]) => hash),
  );
  const states = await quarantined.findByIds([...new Set([...holders.values()].flat())]);
  for (const [hash, ids] of holders) {
    const holder = ids.find((id) => states.has(id)); // one that was pruned holds nothing
    if (holder !== undefined) found.set(keys.get(hash)!, states.get(holder)!);
  }
  return found;
}
