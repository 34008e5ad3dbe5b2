import type { MigrationInterface, QueryRunner } from 'typeorm';
import { RepositoryError } from '../../../errors/storage.errors.js';
import { DatabaseConnection } from '../../../repository/database.connection.js';
import { type DatabaseTarget, describeTarget } from '../../../repository/database-target.js';
import { POSTGRES } from '../../../repository/dialect.js';
import type { OwnSchema } from '../../../repository/migrations/taskflow.migrations.js';
import type { DatabasePorts } from '../../../repository/repository.ports.js';
import { qualifiedName } from '../../../repository/schema-names.js';
import { refusalOf } from './database-refusal.js';
import { BASE_SCHEMA, CLUSTER_SCHEMA } from './migrations/cluster.migrations.js';

/** In the order in which they are made: the second adds to the first. */
const SCHEMAS: readonly OwnSchema[] = [BASE_SCHEMA, CLUSTER_SCHEMA];

/** @throws RepositoryError `NOT_SUPPORTED` unless the target is PostgreSQL. */
export function requirePostgres(target: DatabaseTarget): void {
  if (target.kind === 'postgres') return;
  throw new RepositoryError(
    'NOT_SUPPORTED',
    "engine 'cluster' needs repository.type 'postgres' or 'lakebase': its nodes share one database.",
    0,
  );
}

/**
 * Brings the schema to this version, under a lock, so that nodes may start together. Where it is there already, no right is needed.
 * @throws RepositoryError that says what is missing.
 */
export async function migrateCluster(target: DatabaseTarget, ports: DatabasePorts): Promise<void> {
  requirePostgres(target);
  for (const own of SCHEMAS) {
    const connection = new DatabaseConnection(target, 'writer', ports, own);
    try {
      await connection.open();
    } catch (error) {
      throw refusalOf(error, describeTarget(target), false);
    } finally {
      await connection.close();
    }
  }
}

/**
 * The SQL that `migrateCluster` would run, for a role that may create what the application's may not.
 * @param made names of the migrations that a database has already; default: it is empty.
 * @returns empty where nothing is missing.
 */
export async function clusterMigrationSql(schema: string | undefined, made: ReadonlySet<string> = new Set()): Promise<string> {
  const statements: string[] = [];
  for (const { migrations, table } of SCHEMAS) {
    const name = qualifiedName(schema, table);
    const missing = migrations.map((migration) => new migration()).filter((migration) => !made.has(migration.name));
    if (missing.length === 0) continue;
    statements.push(
      `CREATE TABLE IF NOT EXISTS ${name} ("id" SERIAL PRIMARY KEY, "timestamp" bigint NOT NULL, "name" character varying NOT NULL)`,
    );
    for (const migration of missing) statements.push(...(await statementsOf(migration, schema, name)));
  }
  if (statements.length === 0) return '';
  const first = schema === undefined ? [] : [`CREATE SCHEMA IF NOT EXISTS "${schema}"`];
  return ['BEGIN', ...POSTGRES.migrationLock, ...first, ...statements, 'COMMIT'].map((statement) => `${statement};\n`).join('\n');
}

/** Names of the migrations that a database has. @throws RepositoryError. */
export async function madeMigrations(target: DatabaseTarget, ports: DatabasePorts): Promise<Set<string>> {
  requirePostgres(target);
  const connection = new DatabaseConnection(target, 'confirm', ports);
  const schema = target.kind === 'postgres' ? target.schema : undefined;
  try {
    await connection.open();
    const made = new Set<string>();
    for (const { table } of SCHEMAS) {
      const name = qualifiedName(schema, table);
      const [found] = await connection.rows('SELECT to_regclass(?) IS NOT NULL AS "exists"', [name]);
      if (found?.['exists'] !== true) continue;
      for (const row of await connection.rows(`SELECT "name" FROM ${name}`)) made.add(row['name'] as string);
    }
    return made;
  } catch (error) {
    throw refusalOf(error, describeTarget(target), false);
  } finally {
    await connection.close();
  }
}

async function statementsOf(
  migration: MigrationInterface & { readonly name: string },
  schema: string | undefined,
  table: string,
): Promise<string[]> {
  const statements: string[] = [];
  // What our migrations use of a runner: they know nothing of the database but its schema.
  const recorder = { connection: { options: { schema } }, query: async (sql: string) => void statements.push(sql) };
  await migration.up(recorder as unknown as QueryRunner);
  statements.push(`INSERT INTO ${table} ("timestamp", "name") VALUES (${migration.name.slice(-13)}, '${migration.name}')`);
  return statements;
}
