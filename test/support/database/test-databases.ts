import { mkdir, mkdtemp, open, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { randomBytes } from 'node:crypto';
import pg from 'pg';

/** A database for one suite, and how `repository` names it. */
export interface TestDatabase {
  readonly options: { readonly type: 'sqlite' | 'postgres'; readonly [key: string]: unknown };
  drop(): Promise<void>;
}

export const ensureFile = async (path: string): Promise<void> => {
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  await (await open(path, 'a', 0o600)).close();
};

export async function sqliteDatabase(): Promise<TestDatabase> {
  const folder = await mkdtemp(join(tmpdir(), 'taskflow-sqlite-'));
  return {
    options: { type: 'sqlite', database: join(folder, 'db', 'tasks.db') },
    drop: () => rm(folder, { recursive: true, force: true }),
  };
}

export const postgresUrl = (): string | undefined => process.env['TASKFLOW_TEST_PG_URL'];

export async function onServer(sql: string, url = postgresUrl()): Promise<void> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    await client.query(sql);
  } finally {
    await client.end();
  }
}

export async function postgresDatabase(): Promise<TestDatabase> {
  const name = `taskflow_${randomBytes(6).toString('hex')}`;
  await onServer(`CREATE DATABASE ${name}`);
  const url = new URL(postgresUrl()!);
  return {
    options: {
      type: 'postgres',
      host: url.hostname,
      port: Number(url.port),
      username: decodeURIComponent(url.username),
      password: decodeURIComponent(url.password),
      database: name,
    },
    drop: () => onServer(`DROP DATABASE ${name} WITH (FORCE)`),
  };
}

/** The databases that a conformance suite runs on. A suite for a server that is not there says so in its name. */
export const DATABASES: readonly { name: string; available: boolean; create: () => Promise<TestDatabase> }[] = [
  { name: 'SQLite', available: true, create: sqliteDatabase },
  {
    name: postgresUrl() === undefined ? `PostgreSQL (SKIPPED: ${process.env['TASKFLOW_TEST_PG_SKIPPED'] ?? 'no server'})` : 'PostgreSQL',
    available: postgresUrl() !== undefined,
    create: postgresDatabase,
  },
];
