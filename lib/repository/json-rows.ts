import type { Statement } from './sql-session.interface.js';

/** NUL and lone surrogates, as JSON writes them: SQLite does not give them back as they were. */
const UNFIT = /\\u(?:0000|d[89a-f])/;

/** Values as one JSON text; undefined where one of them does not survive the way through it. */
export function jsonText(values: unknown): string | undefined {
  const text = JSON.stringify(values);
  return UNFIT.test(text) ? undefined : text;
}

/**
 * `head WITH given … SELECT … FROM given tail` over rows that lie one after the other in `values`. Columns that are the same in all rows are
 * one parameter each, or none where they are null: of a batch of tasks that are alike few are left.
 * @returns undefined where a value does not survive the way through JSON.
 */
export function insertFromJson(head: string, columns: number, values: readonly unknown[], tail: string): Statement | undefined {
  const varying: number[] = [];
  const parameters: unknown[] = [];
  const selected: string[] = [];
  for (let column = 0; column < columns; column++) {
    if (!isConstant(values, column, columns)) selected.push(`value->>${varying.push(column) - 1}`);
    else if (values[column] === null) selected.push('NULL');
    else {
      parameters.push(values[column]);
      selected.push('?');
    }
  }
  const rows: unknown[][] = [];
  for (let at = 0; at < values.length; at += columns) rows.push(varying.map((column) => values[at + column]));
  const text = jsonText(rows);
  if (text === undefined) return undefined;
  // Materialised, or SQLite writes a row out as JSON text again for each column that is taken from it. Without WHERE the parser takes
  // ON CONFLICT for a condition of a join.
  const sql = `${head} WITH given(value) AS MATERIALIZED (SELECT value FROM json_each(?)) SELECT ${selected.join(', ')} FROM given WHERE true ${tail}`;
  return { sql, parameters: [text, ...parameters] };
}

function isConstant(values: readonly unknown[], column: number, columns: number): boolean {
  for (let at = column + columns; at < values.length; at += columns) if (values[at] !== values[column]) return false;
  return true;
}
