import type { LogEntry } from '../../../../contracts/log-entry.interface.js';
import { BatchProjection } from '../batch-projection.js';
import { readCursor } from '../cursor-rows.js';
import { isDataError, reasonOf } from '../../../../repository/database-errors.js';
import type { DatabaseConnection } from '../../../../repository/database.connection.js';
import { entryOfLine } from '../log-line.js';
import { encodeProjection, loadRows, writeProjection } from '../projection-rows.js';
import type { RowReader, SqlSession } from '../../../../repository/sql-session.interface.js';

const PAGE = 500;

export interface DeadTask {
  readonly taskId: string;
  readonly entries: number;
  /** Why the first of them was set aside. */
  readonly reason: string;
}

/** `reason` null: applied, and dead no longer. Else why the database still refuses it; then nothing was changed. */
export interface RetriedTask {
  readonly taskId: string;
  readonly entries: number;
  readonly reason: string | null;
}

/** The entries still do not fit; undoes the transaction. */
class StillDeadError extends Error {}

/** Tasks with dead entries of one log, after an id, in the order of ids. */
export async function deadTasks(session: RowReader, logId: string, afterId: string): Promise<DeadTask[]> {
  const sql =
    `SELECT "task_id" AS id, COUNT(*) AS n, MIN("reason") AS reason FROM ${session.tables.deadEntries}` +
    ` WHERE "log_id" = ? AND "task_id" > ? GROUP BY "task_id" ORDER BY "task_id" LIMIT ${PAGE}`;
  const rows = await session.rows(sql, [logId, afterId]);
  return rows.map((row) => ({ taskId: row['id'] as string, entries: Number(row['n']), reason: row['reason'] as string }));
}

/**
 * Applies all that is dead of a task, of every log, and deletes it, in one transaction: afterwards the flush goes on with the task
 * as if nothing had been. Refused again, everything stays as it was.
 */
export async function retryDeadTask(connection: DatabaseConnection, taskId: string): Promise<RetriedTask> {
  let entries = 0;
  try {
    await connection.transaction(async (session) => {
      const runs = await lockedRuns(session, taskId);
      entries = runs.reduce((sum, run) => sum + run.entries.length, 0);
      // First: a task that has dead entries is taken for one that does not tell its whole story.
      for (const { logId, entries: run } of runs)
        await session.run(`DELETE FROM ${session.tables.deadEntries} WHERE "task_id" = ? AND "log_id" = ? AND "seq" <= ?`, [
          taskId,
          logId,
          run.at(-1)!.seq,
        ]);
      for (const { logId, entries: run } of runs) await applyRun(session, logId, run);
    });
    return { taskId, entries, reason: null };
  } catch (error) {
    if (error instanceof StillDeadError) return { taskId, entries, reason: error.message };
    if (isDataError(error)) return { taskId, entries, reason: reasonOf(error) };
    throw error;
  }
}

interface Run {
  readonly logId: string;
  readonly entries: readonly LogEntry[];
}

/** In the order in which they happened. The cursors are locked: no flush of these logs runs beside. */
async function lockedRuns(session: SqlSession, taskId: string): Promise<Run[]> {
  const { deadEntries } = session.tables;
  const ids = await session.rows(`SELECT DISTINCT "log_id" FROM ${deadEntries} WHERE "task_id" = ? ORDER BY "log_id"`, [taskId]);
  const runs: Run[] = [];
  for (const row of ids) {
    const logId = row['log_id'] as string;
    await readCursor(session, logId, true);
    const lines = await session.rows(`SELECT "line" FROM ${deadEntries} WHERE "task_id" = ? AND "log_id" = ? ORDER BY "seq"`, [
      taskId,
      logId,
    ]);
    if (lines.length > 0) runs.push({ logId, entries: lines.map((line) => entryOfLine(line['line'] as string)) });
  }
  return runs.sort((a, b) => firstSeqOf(a) - firstSeqOf(b));
}

const firstSeqOf = ({ entries }: Run): number => entries.find((entry) => entry.taskSeq !== undefined)?.taskSeq ?? Number.MAX_SAFE_INTEGER;

async function applyRun(session: SqlSession, logId: string, entries: readonly LogEntry[]): Promise<void> {
  const projection = new BatchProjection(logId, await loadRows(session, entries, [], logId)).project(entries);
  const encoded = encodeProjection(projection);
  const [reason] = [...projection.poisoned.values(), ...encoded.poisoned.values()];
  if (reason !== undefined) throw new StillDeadError(reason);
  await writeProjection(session, projection, encoded);
}
