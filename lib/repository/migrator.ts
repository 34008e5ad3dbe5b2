import { type DataSource, MigrationExecutor, type QueryRunner } from 'typeorm';
import { RepositoryError } from '../errors/storage.errors.js';
import type { Dialect } from './dialect.js';
import { newestMigration, type OwnSchema } from './migrations/taskflow.migrations.js';
import { qualifiedName } from './schema-names.js';

/** Nearly every start: nothing to do, and nobody to wait for. */
export async function isMigrated(dataSource: DataSource, own: OwnSchema, schema: string | undefined): Promise<boolean> {
  const runner = dataSource.createQueryRunner('master');
  try {
    const found = await migratedTo(runner, own, schema);
    return own.mayBeNewer ? found >= newestMigration(own) : found === newestMigration(own);
  } finally {
    await runner.release();
  }
}

/**
 * Brings our tables to this version, in one transaction and under a lock, so that processes may start together.
 * @throws RepositoryError `SCHEMA_TOO_NEW` when a later version of this package has been here.
 */
export async function migrate(dataSource: DataSource, dialect: Dialect, own: OwnSchema, schema: string | undefined): Promise<void> {
  const runner = dataSource.createQueryRunner('master');
  try {
    // Others may hold the lock for as long as their migration takes: no limit of the server.
    for (const statement of [dialect.begin(0), ...dialect.migrationLock]) await runner.query(statement);
    try {
      if (schema !== undefined) await ensureSchema(runner, schema);
      const found = await migratedTo(runner, own, schema);
      refuseNewer(found, own);
      if (found >= newestMigration(own)) {
        await runner.query('COMMIT');
        return;
      }
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
async function migratedTo(runner: QueryRunner, { table }: OwnSchema, schema: string | undefined): Promise<number> {
  if (!(await runner.hasTable(schema === undefined ? table : `${schema}.${table}`))) return 0;
  const rows = (await runner.query(`SELECT MAX("timestamp") AS newest FROM ${qualifiedName(schema, table)}`)) as { newest: unknown }[];
  return Number(rows[0]?.newest ?? 0);
}

function refuseNewer(newest: number, own: OwnSchema): void {
  if (own.mayBeNewer || newest <= newestMigration(own)) return;
  throw new RepositoryError(
    'SCHEMA_TOO_NEW',
    `The database was migrated by a newer nestjs-taskflow (schema ${newest}, this version knows ${newestMigration(own)}). Update the package in this process.`,
    0,
  );
}
