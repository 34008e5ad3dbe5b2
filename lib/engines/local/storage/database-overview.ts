import type { FlushCursor } from '../../../contracts/task-store.interface.js';
import { readCursor } from './cursor-rows.js';
import type { SqlSession } from '../../../repository/sql-session.interface.js';

/** A log, as the database knows it. */
export interface HomeOverview {
  readonly home: string;
  readonly appliedSeq: number;
  readonly tasks: number;
  readonly unfinished: number;
  readonly deadEntries: number;
  /** Epoch ms of the last sign of life; 0: ended in order, or never seen. */
  readonly beatAt: number;
}

/** All that the database says of logs, in rows as they are. Reads only. */
export async function databaseOverview(
  session: SqlSession,
  logId: string | null,
): Promise<{ readonly cursor: FlushCursor | null; readonly homes: readonly HomeOverview[] }> {
  const { cursor, tasks, nodes, deadEntries } = session.tables;
  const ids = `SELECT "log_id" AS home FROM ${cursor} UNION SELECT "home" FROM ${tasks} UNION SELECT "home" FROM ${nodes} UNION SELECT "log_id" FROM ${deadEntries}`;
  const rows = await session.rows(
    `SELECT h.home AS home, (SELECT "applied_seq" FROM ${cursor} WHERE "log_id" = h.home) AS applied,` +
      ` (SELECT COUNT(*) FROM ${tasks} WHERE "home" = h.home) AS tasks,` +
      ` (SELECT COUNT(*) FROM ${tasks} WHERE "home" = h.home AND "status" IN ('created', 'running')) AS unfinished,` +
      ` (SELECT COUNT(*) FROM ${deadEntries} WHERE "log_id" = h.home) AS dead,` +
      ` (SELECT "beat_at" FROM ${nodes} WHERE "home" = h.home) AS beat FROM (${ids}) AS h ORDER BY h.home`,
  );
  const homes = rows.map((row) => ({
    home: row['home'] as string,
    appliedSeq: Number(row['applied'] ?? 0),
    tasks: Number(row['tasks']),
    unfinished: Number(row['unfinished']),
    deadEntries: Number(row['dead']),
    beatAt: Number(row['beat'] ?? 0),
  }));
  return { cursor: logId === null ? null : await readCursor(session, logId), homes };
}
