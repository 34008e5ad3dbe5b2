import type { MigrationInterface, QueryRunner } from 'typeorm';
import { RepositoryError } from '../../../errors/storage.errors.js';
import { DatabaseConnection } from '../../../repository/database.connection.js';
import { type DatabaseTarget, describeTarget } from '../../../repository/database-target.js';
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

/** The SQL that `migrateCluster` would run on an empty database, for a role that may create what the application's may not. */
export async function clusterMigrationSql(schema: string | undefined): Promise<string> {
  const statements = schema === undefined ? [] : [`CREATE SCHEMA IF NOT EXISTS "${schema}"`];
  for (const { migrations, table } of SCHEMAS) {
    const name = qualifiedName(schema, table);
    statements.push(`CREATE TABLE ${name} ("id" SERIAL PRIMARY KEY, "timestamp" bigint NOT NULL, "name" character varying NOT NULL)`);
    for (const migration of migrations) statements.push(...(await statementsOf(new migration(), schema, name)));
  }
  return ['BEGIN', ...statements, 'COMMIT'].map((statement) => `${statement};\n`).join('\n');
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
