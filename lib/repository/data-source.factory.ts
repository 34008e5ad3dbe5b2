import { DataSource, type DataSourceOptions } from 'typeorm';
import { answerWithin } from './answer-limit.js';
import { isRefusedParameter } from './database-errors.js';
import { type DatabaseTarget, describeTarget, givenTo, type SqliteDriver } from './database-target.js';
import { type OwnSchema, TASKFLOW_SCHEMA } from './migrations/taskflow.migrations.js';
import { OpenDatabase, PoolSockets } from './open-database.js';
import type { DatabasePorts, DatabaseRole } from './repository.ports.js';
import { type DataSourceType, driverNotLoaded, refusedByPooler, refusedByTypeOrm } from './driver-errors.js';
import { requireUtf8 } from './server-encoding.js';
import { applyPragmas } from './sqlite-pragmas.js';
import { OPEN_LIMIT_MS, statementLimits } from './statement-limits.js';
import { TASKFLOW_ENTITIES } from './taskflow.entities.js';

/** The writer's one connection is kept, so that readers of a role with few of them do not take its place. */
const POOLS: Readonly<Record<DatabaseRole, object>> = {
  reader: { max: 4 },
  writer: { max: 1, idleTimeoutMillis: 0 },
  confirm: { max: 1 },
  node: { max: 1, idleTimeoutMillis: 0 },
};
const CONNECT_TIMEOUT_MS = 10_000;
const IN_PARENT_BUSY_TIMEOUT_MS = 50;
/** Each attempt adds to it the retries in JavaScript; a database that stays locked is to be noticed within seconds. */
const IN_WORKER_BUSY_TIMEOUT_MS = 500;

/**
 * A DataSource of our own, connected. It is never the host's: a TypeORM SQLite DataSource is one connection,
 * so that a transaction of the host would hold our statements, or take them back.
 */
export async function openDatabase(
  target: DatabaseTarget,
  role: DatabaseRole,
  ports: DatabasePorts,
  own: OwnSchema = TASKFLOW_SCHEMA,
): Promise<OpenDatabase> {
  if (target.kind === 'sqlite') return new OpenDatabase(await openSqlite(target, ports), ports.clock);
  return openPostgres(target, role, ports, own);
}

const ownOptions = ({ migrations, table }: OwnSchema) => ({
  entities: [...TASKFLOW_ENTITIES],
  migrations: [...migrations],
  migrationsTableName: table,
  migrationsRun: false,
  synchronize: false,
});

type SqliteTarget = DatabaseTarget & { kind: 'sqlite' };

async function openSqlite({ file, driver: name }: SqliteTarget, ports: DatabasePorts): Promise<DataSource> {
  const driver = name === 'sqlite3' ? await sqlite3Driver() : defaultOf(await requireDriver(name, '^12.0.0'));
  // SQLite gives its -wal and -shm the mode of the database, and would make that one readable by everybody.
  await ports.ensureFile(file);
  const type = name === 'sqlite3' ? 'sqlite' : name;
  const options = { ...ownOptions(TASKFLOW_SCHEMA), type, database: file, driver, logging: false } as DataSourceOptions;
  const dataSource = createDataSource(type, options);
  await dataSource.initialize();
  try {
    await applyPragmas(dataSource, file, ports.sharesProcessWithLog ? IN_PARENT_BUSY_TIMEOUT_MS : IN_WORKER_BUSY_TIMEOUT_MS, ports.clock);
  } catch (error) {
    await dataSource.destroy();
    throw error;
  }
  return dataSource;
}

type PostgresTarget = DatabaseTarget & { kind: 'postgres' };

async function openPostgres(target: PostgresTarget, role: DatabaseRole, ports: DatabasePorts, own: OwnSchema): Promise<OpenDatabase> {
  await requireDriver('pg', '^8.11.0');
  try {
    return await connectPostgres(target, role, ports, { own, asParameter: true });
  } catch (error) {
    // A transaction pooler with its defaults: there every transaction sets its own limit.
    if (!isRefusedParameter(error)) throw error;
    return connectPostgres(target, role, ports, { own, asParameter: false }).catch((again: unknown) => {
      throw isRefusedParameter(again) ? refusedByPooler(again) : again;
    });
  }
}

async function connectPostgres(
  target: PostgresTarget,
  role: DatabaseRole,
  ports: DatabasePorts,
  ours: { readonly own: OwnSchema; readonly asParameter: boolean },
): Promise<OpenDatabase> {
  const sockets = new PoolSockets(givenTo('stream', target));
  const dataSource = createDataSource('postgres', postgresOptions(target, role, { ...ours, stream: sockets.create }));
  return answerWithin(
    ports.clock,
    OPEN_LIMIT_MS,
    describeTarget(target),
    async () => {
      await dataSource.initialize();
      await requireUtf8(dataSource).catch(async (error: unknown) => {
        await dataSource.destroy();
        throw error;
      });
      const rows = await dataSource.query<{ limit: unknown }[]>(`SELECT current_setting('statement_timeout') AS "limit"`);
      return new OpenDatabase(dataSource, ports.clock, sockets, rows[0]?.limit === '0');
    },
    () => sockets.destroy(),
  );
}

/** What the user gave wins over our presets, except that the tables stay ours. */
function postgresOptions(
  target: PostgresTarget,
  role: DatabaseRole,
  ours: { readonly own: OwnSchema; readonly stream: unknown; readonly asParameter: boolean },
): DataSourceOptions {
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
    ...ownOptions(ours.own),
    type: 'postgres',
    extra: {
      ...POOLS[role],
      keepAlive: true,
      // Tokens outlive no login: connections are renewed before the database ends them.
      ...(target.lakebase ? { maxLifetimeSeconds: 2700, idleTimeoutMillis: 30_000 } : {}),
      ...extra,
      statement_timeout: ours.asParameter ? statementLimits(target, role).atServerMs : undefined,
      ...(role === 'reader' ? {} : { max: 1 }),
      stream: ours.stream,
    },
  } as DataSourceOptions;
}

/** TypeORM asks its driver for stack traces of every statement, which costs more than most statements do. */
async function sqlite3Driver(): Promise<object> {
  const sqlite3 = defaultOf(await requireDriver('sqlite3', '^5.1.7 || ^6.0.0'));
  return { verbose: () => sqlite3 };
}

const defaultOf = (module: object): object => (module as { default?: object }).default ?? module;

async function requireDriver(name: SqliteDriver | 'pg', range: string): Promise<object> {
  try {
    // Each by its literal name, which bundlers read.
    if (name === 'pg') return await import('pg');
    return name === 'sqlite3' ? await import('sqlite3') : await import('better-sqlite3');
  } catch (error) {
    throw driverNotLoaded(name, range, error);
  }
}

function createDataSource(type: DataSourceType, options: DataSourceOptions): DataSource {
  try {
    return new DataSource(options);
  } catch (error) {
    throw refusedByTypeOrm(type, error);
  }
}
