import type { Dialect } from './dialect.js';
import type { TableNames } from './schema-names.js';

export type SqlRow = Record<string, unknown>;

/** One statement with its values. */
export interface Statement {
  readonly sql: string;
  readonly parameters: readonly unknown[];
}

/** Where statements run: a connection, or one transaction on it. SQL is written with `?`; reads and writes are told apart since drivers answer them differently. */
export interface SqlSession {
  readonly dialect: Dialect;
  readonly tables: TableNames;
  rows(sql: string, parameters?: readonly unknown[]): Promise<SqlRow[]>;
  /** Rows that were changed. */
  run(sql: string, parameters?: readonly unknown[]): Promise<number>;
}

/** A session for those that only read. */
export type RowReader = Pick<SqlSession, 'dialect' | 'tables' | 'rows'>;
