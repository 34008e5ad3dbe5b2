import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import sqlite3 from 'sqlite3';

/** The last sequence number in the log's files, a torn end included. */
export function lastLoggedSeq(folder) {
  const newest = segmentsOf(folder).at(-1);
  if (newest === undefined) return 0;
  const seqs = [...readFileSync(join(folder, newest), 'utf8').matchAll(/^\{"s":(\d+)/gm)];
  return seqs.length > 0 ? Number(seqs.at(-1)[1]) : Number(/(\d+)\.log$/.exec(newest)[1]) - 1;
}

export const segmentsOf = (folder) =>
  readdirSync(folder)
    .filter((name) => /^events-\d{16}\.log$/.test(name))
    .sort();

/** Reads without a trace: a connection that could write would tidy up the write-ahead log of the database when it closes. */
export async function query(folder, sql) {
  const database = await open(join(folder, 'tasks.db'));
  try {
    return await new Promise((resolve, reject) => database.all(sql, (error, rows) => (error ? reject(error) : resolve(rows))));
  } finally {
    await new Promise((resolve) => database.close(resolve));
  }
}

async function open(path) {
  const database = await new Promise((resolve, reject) => {
    const opened = new sqlite3.Database(path, sqlite3.OPEN_READONLY, (error) => (error ? reject(error) : resolve(opened)));
  });
  database.configure('busyTimeout', 2_000);
  return database;
}

/** How far the log is in the database. Zero where no table is there yet. */
export async function appliedSeq(folder) {
  for (let tries = 1; ; tries++) {
    try {
      const [row] = await query(folder, 'SELECT max("applied_seq") AS "seq" FROM "taskflow_cursor"');
      return row.seq ?? 0;
    } catch (error) {
      if (/no such table|CANTOPEN/.test(error.message)) return 0;
      if (tries === 5) throw error;
      await sleep(50);
    }
  }
}
