import { join } from 'node:path';
import pg from 'pg';
import { type Query, readRows, type RowContents, rowsFrom } from '../oracle/log-and-rows.js';
import { postgresDatabase } from './test-databases.js';

/** A database that a test looks at without any code of the library. */
export interface PlainDatabase {
  /** As `repository` names it. */
  readonly options: object;
  rows(): Promise<RowContents>;
  drop(): Promise<void>;
}

const NOTHING: RowContents = { tasks: new Map(), appliedSeqs: [], dead: [] };

/** In the folder of the test, which takes it along. */
export function plainSqlite(folder: string): PlainDatabase {
  const file = join(folder, 'tasks.db');
  return {
    options: { type: 'sqlite', database: file },
    // Killed before it made the file, or the tables.
    rows: () => readRows(file).catch((error: Error) => orNothing(error, /SQLITE_CANTOPEN|no such table/)),
    drop: () => Promise.resolve(),
  };
}

export async function plainPostgres(): Promise<PlainDatabase> {
  const { options, drop } = await postgresDatabase();
  return { ...plainPostgresAt(options), drop };
}

/** @param options as `repository` names it. */
export function plainPostgresAt(options: object): PlainDatabase {
  const rows = (): Promise<RowContents> =>
    withClient(options, async (client) => {
      const all: Query = async <R>(sql: string) => (await client.query(sql)).rows as R[];
      return rowsFrom(all).catch((error: Error) => orNothing(error, /does not exist/));
    });
  return { options, rows, drop: () => Promise.resolve() };
}

export async function withClient<T>(options: object, work: (client: pg.Client) => Promise<T>): Promise<T> {
  const { username: user, ...rest } = options as Record<string, unknown>;
  const client = new pg.Client({ ...rest, user } as pg.ClientConfig);
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}

function orNothing(error: Error, expected: RegExp): RowContents {
  if (!expected.test(error.message)) throw error;
  return NOTHING;
}
