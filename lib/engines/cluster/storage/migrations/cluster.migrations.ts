import type { MigrationInterface, QueryRunner } from 'typeorm';
import { type OwnSchema, TASKFLOW_SCHEMA } from '../../../../repository/migrations/taskflow.migrations.js';
import { CLUSTER_MIGRATIONS_TABLE, type ClusterNames, clusterNames } from '../cluster-names.js';
import { applyFunction, dueFunction, stepFunction } from '../functions/apply.sql.js';
import { claimFunction } from '../functions/claim.sql.js';
import { insertFunction } from '../functions/insert.sql.js';
import { membershipFunctions } from '../functions/membership.sql.js';
import { submitFunction } from '../functions/submit.sql.js';
import { takeFunction } from '../functions/take.sql.js';
import { clusterTables, droppedTables } from './cluster-tables.sql.js';

/** Version 1 of everything that nodes share. */
export const clusterSchemaV1 = (t: ClusterNames): readonly string[] => [
  ...clusterTables(t),
  insertFunction(t),
  submitFunction(t),
  takeFunction(t),
  claimFunction(t),
  applyFunction(t),
  stepFunction(t),
  dueFunction(t),
  ...membershipFunctions(t),
];

const namesOf = (runner: QueryRunner): ClusterNames => clusterNames((runner.connection.options as { schema?: string }).schema);

export class ClusterSchema1796000000000 implements MigrationInterface {
  // A bundler that renames classes would make it look like another migration.
  readonly name = 'ClusterSchema1796000000000';

  async up(runner: QueryRunner): Promise<void> {
    for (const statement of clusterSchemaV1(namesOf(runner))) await runner.query(statement);
  }

  async down(runner: QueryRunner): Promise<void> {
    const names = namesOf(runner);
    for (const name of Object.values(names.fn)) await runner.query(`DROP FUNCTION ${name}`);
    for (const statement of droppedTables(names)) await runner.query(statement);
  }
}

/** Nodes of several releases share it: each migration leaves what the release before it calls. */
export const CLUSTER_SCHEMA: OwnSchema = {
  migrations: [ClusterSchema1796000000000],
  table: CLUSTER_MIGRATIONS_TABLE,
  mayBeNewer: true,
};

/** What it adds to, which an older node finds newer than it knows, too. */
export const BASE_SCHEMA: OwnSchema = { ...TASKFLOW_SCHEMA, mayBeNewer: true };
