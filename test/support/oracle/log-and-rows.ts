import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import sqlite3 from 'sqlite3';

/** What matters of a task, derived without any code of the library. */
export interface PlainTask {
  readonly status: string;
  readonly lastSeq: number;
  readonly fence: number;
  readonly events: readonly string[];
}

/** The state of a task after an entry of this type. */
export const STATUS: Readonly<Record<string, string>> = {
  created: 'created',
  start: 'running',
  retry: 'created',
  recovered: 'created',
  complete: 'completed',
  error: 'failed',
  cancelled: 'cancelled',
};

export interface LogContents {
  readonly tasks: Map<string, PlainTask>;
  readonly lastSeq: number;
}

/** Reads the files as a person would: `grep -v '^#'`, line by line. */
export async function readLog(folder: string): Promise<LogContents> {
  const tasks = new Map<string, PlainTask>();
  let lastSeq = 0;
  for (const name of (await readdir(folder)).filter((each) => /^events-\d{16}\.log$/.test(each)).sort()) {
    for (const line of (await readFile(join(folder, name), 'utf8')).split('\n')) {
      if (line === '' || line.startsWith('#')) continue;
      const { s, e, t, q, f } = JSON.parse(line) as { s: number; e: string; t: string; q?: number; f: number };
      if (s !== lastSeq + 1) throw new Error(`${name}: entry ${s} follows ${lastSeq}`);
      lastSeq = s;
      if (e === 'pruned') tasks.delete(t);
      if (q === undefined) continue;
      const before = tasks.get(t);
      tasks.set(t, {
        status: STATUS[e] ?? before?.status ?? 'unknown',
        lastSeq: q,
        fence: f,
        events: [...(before?.events ?? []), `${q} ${e}`],
      });
    }
  }
  return { tasks, lastSeq };
}

export interface RowContents {
  readonly tasks: Map<string, PlainTask>;
  readonly appliedSeqs: readonly number[];
  /** Lines of entries that the database refused, and of what followed them of their tasks. */
  readonly dead: readonly string[];
}

/** Runs a statement that reads. */
export type Query = <R>(sql: string) => Promise<R[]>;

export async function readRows(file: string): Promise<RowContents> {
  const database = new sqlite3.Database(file, sqlite3.OPEN_READONLY);
  try {
    return await rowsFrom(
      <R>(sql: string): Promise<R[]> =>
        new Promise((resolve, reject) =>
          database.all(sql, (error: Error | null, rows: unknown[]) => (error === null ? resolve(rows as R[]) : reject(error))),
        ),
    );
  } finally {
    await new Promise<void>((resolve) => database.close(() => resolve()));
  }
}

export async function executeOnSqlite(file: string, sql: string): Promise<void> {
  const database = new sqlite3.Database(file);
  try {
    await new Promise<void>((resolve, reject) => database.exec(sql, (error: Error | null) => (error === null ? resolve() : reject(error))));
  } finally {
    await new Promise<void>((resolve) => database.close(() => resolve()));
  }
}

/** Tasks as they are with what was set aside of them: their rows stopped, their entries did not. */
export function withDead({ tasks, appliedSeqs, dead }: RowContents): RowContents {
  const whole = new Map(tasks);
  for (const line of dead) {
    const { e, t, q, f } = JSON.parse(line) as { e: string; t: string; q?: number; f: number };
    if (q === undefined) continue;
    const before = whole.get(t);
    const events = [...(before?.events ?? []), `${q} ${e}`];
    whole.set(t, { status: STATUS[e] ?? before?.status ?? 'unknown', lastSeq: q, fence: f, events });
  }
  return { tasks: whole, appliedSeqs, dead: [] };
}

/** PostgreSQL gives the larger whole numbers as text. */
export async function rowsFrom(all: Query): Promise<RowContents> {
  const events = new Map<string, string[]>();
  for (const { task_id: id, seq, type } of await all<{ task_id: string; seq: number | string; type: string }>(
    'SELECT task_id, seq, type FROM taskflow_events ORDER BY task_id, seq',
  )) {
    const known = events.get(id);
    if (known === undefined) events.set(id, [`${seq} ${type}`]);
    else known.push(`${seq} ${type}`);
  }
  const rows = await all<{ id: string; status: string; last_seq: number | string; fence: number | string }>(
    'SELECT id, status, last_seq, fence FROM taskflow_tasks',
  );
  const tasks = new Map(
    rows.map(({ id, status, last_seq: lastSeq, fence }) => [
      id,
      { status, lastSeq: Number(lastSeq), fence: Number(fence), events: events.get(id) ?? [] },
    ]),
  );
  const cursors = await all<{ applied_seq: number | string }>('SELECT applied_seq FROM taskflow_cursor');
  const dead = await all<{ line: string }>('SELECT line FROM taskflow_dead_entries ORDER BY log_id, seq');
  return { tasks, appliedSeqs: cursors.map(({ applied_seq: seq }) => Number(seq)), dead: dead.map(({ line }) => line) };
}
