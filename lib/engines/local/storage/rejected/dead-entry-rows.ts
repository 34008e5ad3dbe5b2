import type { LogEntry } from '../../../../contracts/log-entry.interface.js';
import type { StoredEntry } from '../../../../contracts/task-history.interface.js';
import { keyHash, scopedKey } from '../../../../domain/task-key.js';
import { storableText } from '../../../../domain/text-rules.js';
import { failpoint } from '../../../../primitives/failpoint.js';
import { entryOfLine, eventBody, lineOf } from '../log-line.js';
import { inChunks, insertRows } from '../../../../repository/multi-row.js';
import type { RowReader, SqlSession } from '../../../../repository/sql-session.interface.js';

const COLUMNS = 8;
const LINES_PER_PAGE = 50;
/** They move a task's sequence, time, owner and newest progress, and nothing else: of these the last one says it all, of each type. */
const UNEVENTFUL = `'progress', 'custom'`;

/** Tasks that have dead entries already: what follows goes there, too. */
export async function quarantinedTasks(session: RowReader, taskIds: readonly string[]): Promise<Set<string>> {
  const found = new Set<string>();
  const table = session.tables.deadEntries;
  if ((await session.rows(`SELECT 1 AS found FROM ${table} LIMIT 1`)).length === 0) return found;
  await inChunks(session, taskIds, async (places, ids) => {
    for (const row of await session.rows(`SELECT DISTINCT "task_id" FROM ${table} WHERE "task_id" IN (${places})`, ids))
      found.add(row['task_id'] as string);
  });
  return found;
}

/** Every quarantined task, in the order of ids, a page at a time. */
export async function quarantinedAfter(session: RowReader, afterId: string, limit: number): Promise<string[]> {
  const sql = `SELECT DISTINCT "task_id" FROM ${session.tables.deadEntries} WHERE "task_id" > ? ORDER BY "task_id" LIMIT ?`;
  return (await session.rows(sql, [afterId, limit])).map((row) => row['task_id'] as string);
}

export async function writeDeadEntries(
  session: SqlSession,
  logId: string,
  dead: readonly { entry: LogEntry; reason: string }[],
): Promise<void> {
  if (dead.length === 0) return;
  const values: unknown[] = [];
  for (const { entry, reason } of dead) {
    const { seq, taskSeq, type } = entry;
    const place = Number.isSafeInteger(taskSeq) ? taskSeq : null;
    values.push(logId, seq, storableText(entry.taskId), place, type, createdKeyHash(entry), escaped(lineOf(entry)), plain(reason));
  }
  const head = `INSERT INTO ${session.tables.deadEntries} ("log_id", "seq", "task_id", "task_seq", "type", "key_hash", "line", "reason")`;
  await insertRows(session, head, COLUMNS, values, 'ON CONFLICT ("log_id", "seq") DO NOTHING');
  failpoint('flush.after-dead-entries');
}

/** Stream entries of a task that were set aside: they happened, and its subscribers have seen them. */
export async function readDeadEntries(session: RowReader, taskId: string, afterSeq: number, limit: number): Promise<StoredEntry[]> {
  const sql = `SELECT "line" FROM ${session.tables.deadEntries} WHERE "task_id" = ? AND "task_seq" > ? ORDER BY "task_seq" LIMIT ?`;
  const rows = await session.rows(sql, [taskId, afterSeq, limit]);
  return rows.map((row) => {
    const entry = entryOfLine(row['line'] as string);
    return { taskSeq: entry.taskSeq, type: entry.type, at: entry.at, attempt: entry.attempt, fence: entry.fence, body: eventBody(entry) };
  });
}

/** The dead entries of one task in one log; an adopted task may have some in two. */
export interface DeadRun {
  readonly logId: string;
  /** Lowest task sequence; infinite where there are control entries only. */
  readonly firstSeq: number;
  readonly lastSeq: number;
  /** Of the newest progress; 0: there is none. */
  readonly progressSeq: number;
  /** Entries that a fold must see, but for the last uneventful ones. */
  readonly eventful: number;
}

/** What of some tasks is dead, and which of them have a row, in one snapshot. */
export async function deadRunsOf(
  session: RowReader,
  taskIds: readonly string[],
): Promise<{ readonly runs: Map<string, DeadRun[]>; readonly withRow: Set<string> }> {
  const runs = new Map<string, DeadRun[]>();
  const withRow = new Set<string>();
  const { deadEntries, tasks } = session.tables;
  await inChunks(session, taskIds, async (places, ids) => {
    const sql =
      `SELECT "task_id", "log_id", MIN("task_seq") AS first, MAX("task_seq") AS last, MAX(CASE WHEN "type" = 'progress' THEN "task_seq" ELSE 0 END) AS progress, SUM(CASE WHEN "type" IN (${UNEVENTFUL}) THEN 0 ELSE 1 END) AS n` +
      ` FROM ${deadEntries} WHERE "task_id" IN (${places}) GROUP BY "task_id", "log_id"` +
      ` UNION ALL SELECT "id", NULL, 0, 0, 0, 0 FROM ${tasks} WHERE "id" IN (${places})`;
    for (const row of await session.rows(sql, [...ids, ...ids])) {
      const taskId = row['task_id'] as string;
      if (row['log_id'] === null) withRow.add(taskId);
      else (runs.get(taskId) ?? runs.set(taskId, []).get(taskId)!).push(runOfRow(row));
    }
  });
  for (const each of runs.values()) each.sort((a, b) => (a.firstSeq < b.firstSeq ? -1 : 1));
  return { runs, withRow };
}

function runOfRow(row: Record<string, unknown>): DeadRun {
  const { first, last } = row;
  return {
    logId: row['log_id'] as string,
    firstSeq: first === null ? Number.POSITIVE_INFINITY : Number(first),
    lastSeq: last === null ? Number.POSITIVE_INFINITY : Number(last),
    progressSeq: Number(row['progress']),
    eventful: Number(row['n']),
  };
}

/** Of a run, in log order, what a fold must see. */
export async function* deadEntriesOf(session: RowReader, taskId: string, run: DeadRun): AsyncGenerator<LogEntry> {
  const isLast = Number.isFinite(run.lastSeq) ? ' OR "task_seq" >= ? OR "task_seq" = ?' : '';
  const sql =
    `SELECT "seq", "line" FROM ${session.tables.deadEntries} WHERE "task_id" = ? AND "log_id" = ? AND "seq" > ?` +
    ` AND ("type" NOT IN (${UNEVENTFUL})${isLast}) ORDER BY "seq" LIMIT ${LINES_PER_PAGE}`;
  for (let after = 0; ;) {
    const rows = await session.rows(sql, [taskId, run.logId, after, ...(isLast === '' ? [] : [run.lastSeq, run.progressSeq])]);
    for (const row of rows) yield entryOfLine(row['line'] as string);
    if (rows.length < LINES_PER_PAGE) return;
    after = Number(rows.at(-1)!['seq']);
  }
}

/** Who holds these keys, or asked for them in a `created` that is dead, in one snapshot: key hash to tasks, rows first, then the newest. */
export async function keyHolderIds(session: RowReader, hashes: readonly string[]): Promise<Map<string, string[]>> {
  const found = new Map<string, string[]>();
  const { deadEntries, tasks } = session.tables;
  await inChunks(session, hashes, async (places, values) => {
    const sql =
      `SELECT "key_hash" AS hash, "task_id" AS id, 0 AS rank FROM ${deadEntries} WHERE "key_hash" IN (${places})` +
      ` UNION ALL SELECT "key_hash", "id", 1 FROM ${tasks} WHERE "key_hash" IN (${places}) ORDER BY rank DESC, id DESC`;
    for (const row of await session.rows(sql, [...values, ...values])) {
      const hash = row['hash'] as string;
      (found.get(hash) ?? found.set(hash, []).get(hash)!).push(row['id'] as string);
    }
  });
  return found;
}

/** Hash of the key that a `created` entry asks for, or null. */
export function createdKeyHash(entry: LogEntry): string | null {
  if (entry.type !== 'created') return null;
  const { key, userId } = entry.data as { key?: unknown; userId?: unknown };
  if (typeof key !== 'string') return null;
  return keyHash(scopedKey(entry.taskId, typeof userId === 'string' ? userId : null, key));
}

/**
 * JSON without a character that some database, whatever its encoding, would not take: what could not be applied because of its text must
 * not fail again, for the same reason, where it is set aside.
 */
const escaped = (json: string): string =>
  json.replace(/[\u007f-\uffff]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`);
const plain = (text: string): string => text.replace(/[^\x20-\x7e]/g, '?');
