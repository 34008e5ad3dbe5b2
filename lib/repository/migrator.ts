import { type DataSource, MigrationExecutor, type QueryRunner } from 'typeorm';
import { RepositoryError } from '../errors/storage.errors.js';
import type { Dialect } from './dialect.js';
import { NEWEST_MIGRATION } from './migrations/taskflow.migrations.js';
import { MIGRATIONS_TABLE, tableNames } from './schema-names.js';

/** Nearly every start: nothing to do, and nobody to wait for. */
export async function isMigrated(dataSource: DataSource, schema: string | undefined): Promise<boolean> {
  const runner = dataSource.createQueryRunner('master');
  try {
    return (await newestMigration(runner, schema)) === NEWEST_MIGRATION;
  } finally {
    await runner.release();
  }
}

/**
 * Brings our tables to this version, in one transaction and under a lock, so that processes may start together.
 * @throws RepositoryError `SCHEMA_TOO_NEW` when a later version of this package has been here.
 */
export async function migrate(dataSource: DataSource, dialect: Dialect, schema: string | undefined): Promise<void> {
  const runner = dataSource.createQueryRunner('master');
  try {
    // Others may hold the lock for as long as their migration takes: no limit of the server.
    for (const statement of [dialect.begin(0), ...dialect.migrationLock]) await runner.query(statement);
    try {
      if (schema !== undefined) await ensureSchema(runner, schema);
      refuseNewer(await newestMigration(runner, schema));
      const executor = new MigrationExecutor(dataSource, runner);
      executor.transaction = 'none'; // it is ours: TypeORM's own begins without the lock
      await executor.executePendingMigrations();
      await runner.query('COMMIT');
    } catch (error) {
      await runner.query('ROLLBACK').catch(() => undefined); // the error that led here says more
      throw error;
    }
  } finally {
    await runner.release();
  }
}

/** Asked first: CREATE SCHEMA needs a right that an application often has not, even where the schema exists. */
async function ensureSchema(runner: QueryRunner, schema: string): Promise<void> {
  if (await runner.hasSchema(schema)) return;
  await runner.query(`CREATE SCHEMA "${schema}"`);
}

/** 0: there are no tables yet. */
async function newestMigration(runner: QueryRunner, schema: string | undefined): Promise<number> {
  if (!(await runner.hasTable(schema === undefined ? MIGRATIONS_TABLE : `${schema}.${MIGRATIONS_TABLE}`))) return 0;
  const rows = (await runner.query(`SELECT MAX("timestamp") AS newest FROM ${tableNames(schema).migrations}`)) as { newest: unknown }[];
  return Number(rows[0]?.newest ?? 0);
}

function refuseNewer(newest: number): void {
  if (newest <= NEWEST_MIGRATION) return;
  throw new RepositoryError(
    'SCHEMA_TOO_NEW',
    `The database was migrated by a newer nestjs-taskflow (schema ${newest}, this version knows ${NEWEST_MIGRATION}). Update the package in this process.`,
    0,
  );
}
