import { insertFromJson, jsonText } from './json-rows.js';
import type { RowReader, SqlSession } from './sql-session.interface.js';

const MAX_ROWS_PER_STATEMENT = 200;
/** Of a statement whose length does not depend on them. */
const MAX_ROWS_AS_JSON = 1000;

/** `(?, ?), (?, ?)` */
const places = (rows: number, columns: number): string => {
  const one = `(${'?, '.repeat(columns - 1)}?)`;
  return `${`${one}, `.repeat(rows - 1)}${one}`;
};

/** Inserts rows that lie one after the other in `values`, in as few statements as the database takes. `head` ends before VALUES, `tail` follows. */
export async function insertRows(
  session: SqlSession,
  head: string,
  columns: number,
  values: readonly unknown[],
  tail: string,
): Promise<void> {
  const { dialect } = session;
  const rows = dialect.rowsAsJson ? MAX_ROWS_AS_JSON : Math.min(MAX_ROWS_PER_STATEMENT, Math.floor(dialect.maxParameters / columns));
  for (let at = 0; at < values.length; at += rows * columns) {
    const slice = values.slice(at, at + rows * columns);
    const statement = dialect.rowsAsJson ? insertFromJson(head, columns, slice, tail) : undefined;
    if (statement !== undefined) await session.run(statement.sql, statement.parameters);
    else await insertValues(session, head, columns, slice, tail);
  }
}

async function insertValues(session: SqlSession, head: string, columns: number, values: readonly unknown[], tail: string): Promise<void> {
  const step = Math.min(MAX_ROWS_PER_STATEMENT, Math.floor(session.dialect.maxParameters / columns)) * columns;
  for (let at = 0; at < values.length; at += step) {
    const slice = values.slice(at, at + step);
    await session.run(`${head} VALUES ${places(slice.length / columns, columns)} ${tail}`, slice);
  }
}

/** Calls `work` with what stands inside `IN (…)`, the values of that, and the same values as a query of one column, `wanted`. */
export async function inChunks<T>(
  { dialect }: Pick<RowReader, 'dialect'>,
  values: readonly string[],
  work: (inside: string, values: readonly string[], table: string) => Promise<T>,
): Promise<T[]> {
  const results: T[] = [];
  const text = dialect.rowsAsJson && values.length > 1 ? jsonText(values) : undefined;
  if (text !== undefined) return [await work('SELECT value FROM json_each(?)', [text], 'SELECT value AS wanted FROM json_each(?)')];
  for (let at = 0; at < values.length; at += MAX_ROWS_PER_STATEMENT) {
    const slice = values.slice(at, at + MAX_ROWS_PER_STATEMENT);
    const table = `SELECT CAST(? AS text) AS wanted${' UNION ALL SELECT ?'.repeat(slice.length - 1)}`;
    results.push(await work(`${'?, '.repeat(slice.length - 1)}?`, slice, table));
  }
  return results;
}
