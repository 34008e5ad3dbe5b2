import { DataSource, type DataSourceOptions } from 'typeorm';
import { RepositoryError } from '../errors/storage.errors.js';
import type { DatabaseTarget } from './database-target.js';
import { TASKFLOW_MIGRATIONS } from './migrations/taskflow.migrations.js';
import type { DatabasePorts, DatabaseRole } from './repository.ports.js';
import { MIGRATIONS_TABLE } from './schema-names.js';
import { requireUtf8 } from './server-encoding.js';
import { applyPragmas } from './sqlite-pragmas.js';
import { TASKFLOW_ENTITIES } from './taskflow.entities.js';

const POOL_SIZE: Readonly<Record<DatabaseRole, number>> = { reader: 4, writer: 2, confirm: 1 };
const STATEMENT_TIMEOUT_MS: Readonly<Record<DatabaseRole, number>> = { reader: 10_000, writer: 60_000, confirm: 10_000 };
const CONNECT_TIMEOUT_MS = 10_000;
const IN_PARENT_BUSY_TIMEOUT_MS = 50;
/** Each attempt adds to it the retries in JavaScript; a database that stays locked is to be noticed within seconds. */
const IN_WORKER_BUSY_TIMEOUT_MS = 500;

/**
 * A DataSource of our own, connected. It is never the host's: a TypeORM SQLite DataSource is one connection,
 * so that a transaction of the host would hold our statements, or take them back.
 */
export async function openDataSource(target: DatabaseTarget, role: DatabaseRole, ports: DatabasePorts): Promise<DataSource> {
  return target.kind === 'sqlite' ? openSqlite(target.file, ports) : openPostgres(target, role);
}

const OWN_SCHEMA = {
  entities: [...TASKFLOW_ENTITIES],
  migrations: [...TASKFLOW_MIGRATIONS],
  migrationsTableName: MIGRATIONS_TABLE,
  migrationsRun: false,
  synchronize: false,
};

async function openSqlite(file: string, ports: DatabasePorts): Promise<DataSource> {
  const driver = await sqliteDriver();
  // SQLite gives its -wal and -shm the mode of the database, and would make that one readable by everybody.
  await ports.ensureFile(file);
  const dataSource = new DataSource({ ...OWN_SCHEMA, type: 'sqlite', database: file, driver, logging: false } as DataSourceOptions);
  await dataSource.initialize();
  try {
    await applyPragmas(dataSource, file, ports.sharesProcessWithLog ? IN_PARENT_BUSY_TIMEOUT_MS : IN_WORKER_BUSY_TIMEOUT_MS, ports.clock);
  } catch (error) {
    await dataSource.destroy();
    throw error;
  }
  return dataSource;
}

async function openPostgres(target: DatabaseTarget & { kind: 'postgres' }, role: DatabaseRole): Promise<DataSource> {
  await requireDriver('pg', '^8.11.0');
  const dataSource = new DataSource(postgresOptions(target, role));
  await dataSource.initialize();
  try {
    await requireUtf8(dataSource);
  } catch (error) {
    await dataSource.destroy();
    throw error;
  }
  return dataSource;
}

/** What the user gave wins over our presets, except that the tables stay ours. */
export function postgresOptions(target: DatabaseTarget & { kind: 'postgres' }, role: DatabaseRole): DataSourceOptions {
  const extra = (target.options['extra'] ?? {}) as Record<string, unknown>;
  return {
    connectTimeoutMS: CONNECT_TIMEOUT_MS,
    applicationName: `nestjs-taskflow ${role}`,
    // The next statement reports a broken connection; an idle one that breaks is no event.
    poolErrorHandler: () => undefined,
    logging: false,
    installExtensions: false,
    ...(target.lakebase ? { ssl: true } : {}),
    ...target.options,
    ...OWN_SCHEMA,
    type: 'postgres',
    extra: {
      max: POOL_SIZE[role],
      statement_timeout: STATEMENT_TIMEOUT_MS[role],
      idle_in_transaction_session_timeout: STATEMENT_TIMEOUT_MS.writer,
      keepAlive: true,
      // Tokens outlive no login: connections are renewed before the database ends them.
      ...(target.lakebase ? { maxLifetimeSeconds: 2700, idleTimeoutMillis: 30_000 } : {}),
      ...extra,
    },
  } as DataSourceOptions;
}

/** TypeORM asks its driver for stack traces of every statement, which costs more than most statements do. */
async function sqliteDriver(): Promise<object> {
  const module = (await requireDriver('sqlite3', '^5.1.7 || ^6.0.0')) as { default?: object };
  const sqlite3 = module.default ?? module;
  return { verbose: () => sqlite3 };
}

async function requireDriver(name: 'sqlite3' | 'pg', range: string): Promise<unknown> {
  try {
    return name === 'pg' ? await import('pg') : await import('sqlite3');
  } catch (error) {
    throw new RepositoryError(
      'DRIVER_MISSING',
      `The database driver '${name}' cannot be loaded. Install it beside nestjs-taskflow: npm install "${name}@${range}".`,
      0,
      {
        cause: error,
      },
    );
  }
}
