/** The little that differs between databases. Everything else is SQL that all of them read, with `?` for each parameter. */
export interface Dialect {
  readonly name: 'sqlite' | 'postgres';
  /** Parameters that one statement takes. */
  readonly maxParameters: number;
  /**
   * Many rows cross as one JSON text, in both directions. The `sqlite3` driver makes and frees an object for each value, and SQLite
   * compiles each place of a statement anew: together two thirds of what a batch costs.
   */
  readonly rowsAsJson: boolean;
  /** Opens a transaction which may write at once, and none of whose statements takes longer than that. */
  begin(statementLimitMs: number): string;
  /** Opens a transaction for one read that takes no longer than that. */
  beginRead(statementLimitMs: number): string;
  /** Statements that, first in a transaction, let nobody else migrate meanwhile. */
  readonly migrationLock: readonly string[];
  /** Appended to the read of a row that this transaction will write. */
  readonly rowLock: string;
  /** Statement with the placeholders of the driver. */
  text(sql: string): string;
  /** Condition: the JSON array in `column` holds the parameter. */
  contains(column: string): string;
}

export const SQLITE: Dialect = {
  name: 'sqlite',
  maxParameters: 30_000,
  rowsAsJson: true,
  // Deferred transactions that read before they write fail at once when another one wrote: no busy timeout helps.
  begin: () => 'BEGIN IMMEDIATE',
  beginRead: () => 'BEGIN',
  migrationLock: [],
  rowLock: '',
  text: (sql) => sql,
  contains: (column) => `EXISTS (SELECT 1 FROM json_each(${column}) AS held WHERE held.value = ?)`,
};

/** A process that stood still, or is gone without a word, must not hold its locks for ever. Longer than any pause of ours between two statements. */
const IDLE_LIMIT_MS = 60_000;

export const POSTGRES: Dialect = {
  name: 'postgres',
  maxParameters: 30_000,
  rowsAsJson: false,
  // One message to the server. Everything is set for this transaction only, so that it works behind a transaction pooler too.
  begin: (limitMs) =>
    `BEGIN; SET LOCAL synchronous_commit = on; SET LOCAL statement_timeout = ${limitMs}; SET LOCAL idle_in_transaction_session_timeout = ${IDLE_LIMIT_MS}`,
  beginRead: (limitMs) => `BEGIN READ ONLY; SET LOCAL statement_timeout = ${limitMs}`,
  migrationLock: ['SELECT pg_advisory_xact_lock(7302157643)'],
  rowLock: ' FOR UPDATE',
  text: numbered,
  contains: (column) => `EXISTS (SELECT 1 FROM json_array_elements_text(${column}::json) AS held(value) WHERE held.value = ?)`,
};

/** Our statements contain no `?` but their parameters. */
function numbered(sql: string): string {
  let at = 0;
  return sql.replaceAll('?', () => `$${++at}`);
}
