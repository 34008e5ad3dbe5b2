import { type TaskId, taskId } from '../../../contracts/ids.js';
import { keyHash, scopedKey } from '../../../domain/task-key.js';
import { POSTGRES } from '../../../repository/dialect.js';
import type { ClusterNames } from './cluster-names.js';
import { CLOCK_MS } from './functions/function-text.js';
import type { NewTask } from './submit-call.interface.js';
import { taskRow } from './submit-encoding.js';

/** What TypeORM's EntityManager is here: one connection, inside the host's transaction. */
export interface HostManager {
  query(sql: string, parameters?: unknown[]): Promise<unknown>;
}

export type HostOutcome =
  { readonly kind: 'created'; readonly at: number; readonly keyBase: number } | { readonly kind: 'existing'; readonly id: TaskId };

/**
 * A task as part of the host's transaction: there once that commits, never there if it does not. It takes no turn and no window, since the
 * host may stay open for long; a key that it holds is waited for by others as long as they say.
 * @param replaced the ended task that gives its key up, kept as it is by the same transaction. Errors are those of the host's manager: the transaction is the host's to end, and to repeat.
 */
export async function insertWithHost(
  host: HostManager,
  t: ClusterNames,
  me: string,
  task: NewTask,
  replaced: TaskId | null = null,
): Promise<HostOutcome> {
  const hash = task.key === null ? null : keyHash(scopedKey(task.id, task.userId, task.key));
  const insert = `SELECT "at", ${t.fn.insert}(?, "at", ?::json, '{true}', ?::json, false) AS "made" FROM (SELECT ${CLOCK_MS} AS "at") AS clock`;
  const [answer] = await rowsOf<{ at: unknown; made: readonly string[] }>(host, insert, [
    me,
    JSON.stringify([taskRow(task, 1, hash)]),
    supersession(task.id, replaced),
  ]);
  if (answer!.made.length === 1) {
    const [row] = await rowsOf<{ key_base: unknown }>(host, `SELECT "key_base" FROM ${t.tasks} WHERE "id" = ?`, [task.id]);
    return { kind: 'created', at: Number(answer!.at), keyBase: Number(row?.key_base ?? 0) };
  }
  const [holder] = await rowsOf<{ id: string }>(host, `SELECT "id" FROM ${t.tasks} WHERE "key_hash" = ?`, [hash]);
  // It was given up between the two statements: now it is free.
  return holder === undefined ? insertWithHost(host, t, me, task, replaced) : { kind: 'existing', id: taskId(holder.id) };
}

const supersession = (by: TaskId, replaced: TaskId | null): string | null =>
  replaced === null ? null : JSON.stringify([{ i: 1, id: replaced, by }]);

const rowsOf = async <T>(host: HostManager, sql: string, parameters: unknown[]): Promise<T[]> =>
  (await host.query(POSTGRES.text(sql), parameters)) as T[];
