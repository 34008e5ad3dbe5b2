import { failpoint } from '../../../primitives/failpoint.js';
import { inChunks } from '../../../repository/multi-row.js';
import type { SqlSession } from '../../../repository/sql-session.interface.js';

/** Rows that one statement deletes at most, where no statement took too long yet. */
export const MOST_ROWS_PER_DELETION = 5_000;

/**
 * Deletes tasks with their events, few rows at a time: a statement that deletes all events of a task that has a million of them would
 * meet the time limit each time that it is tried.
 */
export async function deleteTasks(session: SqlSession, taskIds: readonly string[], rowsAtOnce: number): Promise<void> {
  const { tables } = session;
  for (const group of await groupsOf(session, taskIds, rowsAtOnce)) await deleteEvents(session, group, rowsAtOnce);
  for (let at = 0; at < taskIds.length; at += rowsAtOnce)
    await inChunks(session, taskIds.slice(at, at + rowsAtOnce), (places, ids) =>
      session.run(`DELETE FROM ${tables.tasks} WHERE "id" IN (${places})`, ids),
    );
}

/** Deletes quarantined tasks, whose entries go with them: retention does not wait for a repair. */
export async function deleteQuarantined(session: SqlSession, taskIds: readonly string[], rowsAtOnce: number): Promise<void> {
  if (taskIds.length === 0) return;
  await deleteTasks(session, taskIds, rowsAtOnce);
  const table = session.tables.deadEntries;
  await inChunks(session, taskIds, async (places, ids) => {
    const some = `SELECT "log_id", "seq" FROM ${table} WHERE "task_id" IN (${places}) LIMIT ${rowsAtOnce}`;
    while ((await session.run(`DELETE FROM ${table} WHERE ("log_id", "seq") IN (${some})`, ids)) === rowsAtOnce);
  });
  failpoint('flush.after-quarantined-gone');
}

/** Tasks whose events go together, with the highest sequence of any of them. */
interface Group {
  readonly ids: readonly string[];
  readonly lastSeq: number;
}

/** A task has as many events as its last sequence says. */
async function groupsOf(session: SqlSession, taskIds: readonly string[], rowsAtOnce: number): Promise<Group[]> {
  const groups: { ids: string[]; lastSeq: number; rows: number }[] = [];
  await inChunks(session, taskIds, async (places, ids) => {
    for (const row of await session.rows(`SELECT "id", "last_seq" FROM ${session.tables.tasks} WHERE "id" IN (${places})`, ids)) {
      const lastSeq = Number(row['last_seq']);
      const group = groups.at(-1);
      if (group === undefined || group.rows + lastSeq > rowsAtOnce) groups.push({ ids: [row['id'] as string], lastSeq, rows: lastSeq });
      else {
        group.ids.push(row['id'] as string);
        group.rows += lastSeq;
        group.lastSeq = Math.max(group.lastSeq, lastSeq);
      }
    }
  });
  return groups;
}

async function deleteEvents(session: SqlSession, { ids, lastSeq }: Group, rowsAtOnce: number): Promise<void> {
  const { events } = session.tables;
  // Only a group of one task has more rows than go at once.
  for (let upTo = Math.min(rowsAtOnce, lastSeq); upTo < lastSeq; upTo += rowsAtOnce)
    await session.run(`DELETE FROM ${events} WHERE "task_id" = ? AND "seq" <= ?`, [ids[0], upTo]);
  await inChunks(session, ids, (places, some) => session.run(`DELETE FROM ${events} WHERE "task_id" IN (${places})`, some));
}
