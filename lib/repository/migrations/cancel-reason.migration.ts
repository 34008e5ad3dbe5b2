import type { MigrationInterface, QueryRunner } from 'typeorm';
import { tableNames } from '../schema-names.js';

/** Why a run was asked to stop: its end has to say it, also when its process died and the request is only in the row. */
export class CancelReason1794700800000 implements MigrationInterface {
  readonly name = 'CancelReason1794700800000';

  async up(runner: QueryRunner): Promise<void> {
    const { tasks } = tableNames((runner.connection.options as { schema?: string }).schema);
    await runner.query(`ALTER TABLE ${tasks} ADD COLUMN "cancel_reason" text`);
  }

  async down(runner: QueryRunner): Promise<void> {
    const { tasks } = tableNames((runner.connection.options as { schema?: string }).schema);
    await runner.query(`ALTER TABLE ${tasks} DROP COLUMN "cancel_reason"`);
  }
}
