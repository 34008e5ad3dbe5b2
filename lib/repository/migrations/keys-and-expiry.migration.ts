import type { MigrationInterface, QueryRunner } from 'typeorm';
import { RETIRED_KEY_TIME_INDEX, tableNames } from '../schema-names.js';

const COLUMNS = ['"superseded_by" text', '"key_base" bigint', '"postponements" integer', '"progress" text'];

/** Keys that are used again, runs that were put off, the newest progress. Every column may be null: an older process goes on beside it. */
export class KeysAndExpiry1795824000000 implements MigrationInterface {
  readonly name = 'KeysAndExpiry1795824000000';

  async up(runner: QueryRunner): Promise<void> {
    const { tasks, retiredKeys } = tableNames((runner.connection.options as { schema?: string }).schema);
    for (const column of COLUMNS) await runner.query(`ALTER TABLE ${tasks} ADD COLUMN ${column}`);
    await runner.query(
      `CREATE TABLE ${retiredKeys} ("key_hash" text NOT NULL PRIMARY KEY, "base" bigint NOT NULL, "retired_at" bigint NOT NULL)`,
    );
    await runner.query(`CREATE INDEX "${RETIRED_KEY_TIME_INDEX}" ON ${retiredKeys} ("retired_at")`);
  }

  async down(runner: QueryRunner): Promise<void> {
    const { tasks, retiredKeys } = tableNames((runner.connection.options as { schema?: string }).schema);
    await runner.query(`DROP TABLE ${retiredKeys}`);
    for (const column of COLUMNS) await runner.query(`ALTER TABLE ${tasks} DROP COLUMN ${column.split(' ')[0]}`);
  }
}
