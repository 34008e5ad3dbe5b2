import type { MigrationInterface, QueryRunner } from 'typeorm';
import { DEAD_ENTRY_KEY_INDEX, DEAD_ENTRY_LOG_INDEX, DEAD_ENTRY_TASK_INDEX, TASK_INDEXES, tableNames } from '../schema-names.js';

/** The first schema. Types that every database reads: bigint for times and sequences, text for bodies, never jsonb. */
export class InitialSchema1764000000000 implements MigrationInterface {
  // A bundler that renames classes would make it look like another migration.
  readonly name = 'InitialSchema1764000000000';

  async up(runner: QueryRunner): Promise<void> {
    const tables = tableNames((runner.connection.options as { schema?: string }).schema);
    for (const statement of [
      tasksTable(tables.tasks),
      ...taskIndexes(tables.tasks),
      `CREATE TABLE ${tables.events} ("task_id" text NOT NULL, "seq" bigint NOT NULL, "type" text NOT NULL, "at" bigint NOT NULL, "attempt" integer NOT NULL, "fence" integer NOT NULL, "data" text NOT NULL, PRIMARY KEY ("task_id", "seq"))`,
      `CREATE TABLE ${tables.cursor} ("log_id" text NOT NULL PRIMARY KEY, "gen" bigint NOT NULL, "applied_seq" bigint NOT NULL, "applied_crc" text NOT NULL, "owner_gen" bigint NOT NULL)`,
      `CREATE TABLE ${tables.deadEntries} ("log_id" text NOT NULL, "seq" bigint NOT NULL, "task_id" text NOT NULL, "task_seq" bigint, "type" text NOT NULL, "key_hash" text, "line" text NOT NULL, "reason" text NOT NULL, PRIMARY KEY ("log_id", "seq"))`,
      `CREATE INDEX "${DEAD_ENTRY_TASK_INDEX}" ON ${tables.deadEntries} ("task_id", "task_seq")`,
      `CREATE INDEX "${DEAD_ENTRY_LOG_INDEX}" ON ${tables.deadEntries} ("task_id", "log_id", "seq")`,
      `CREATE INDEX "${DEAD_ENTRY_KEY_INDEX}" ON ${tables.deadEntries} ("key_hash") WHERE "key_hash" IS NOT NULL`,
      `CREATE TABLE ${tables.nodes} ("home" text NOT NULL PRIMARY KEY, "owner" text NOT NULL, "beat_at" bigint NOT NULL)`,
      `CREATE TABLE ${tables.schedules} ("id" text NOT NULL PRIMARY KEY, "name" text NOT NULL, "definition" text NOT NULL, "next_at" bigint)`,
    ]) {
      await runner.query(statement);
    }
  }

  async down(runner: QueryRunner): Promise<void> {
    const tables = tableNames((runner.connection.options as { schema?: string }).schema);
    for (const table of [tables.schedules, tables.nodes, tables.deadEntries, tables.cursor, tables.events, tables.tasks]) {
      await runner.query(`DROP TABLE ${table}`);
    }
  }
}

function tasksTable(table: string): string {
  return `CREATE TABLE ${table} (
    "id" text NOT NULL PRIMARY KEY, "home" text NOT NULL, "name" text NOT NULL, "task_key" text, "scoped_key" text NOT NULL,
    "key_hash" text, "input_hash" text, "user_id" text, "type" text NOT NULL, "status" text NOT NULL, "priority" integer NOT NULL,
    "tags" text, "traceparent" text, "attempt" integer NOT NULL, "max_attempts" integer NOT NULL, "failures" integer NOT NULL,
    "fence" integer NOT NULL, "life" integer NOT NULL, "recoveries" integer NOT NULL, "timeout_ms" bigint NOT NULL,
    "cancel_requested_at" bigint, "last_seq" bigint NOT NULL, "created_at" bigint NOT NULL, "run_at" bigint NOT NULL,
    "retry_delay_ms" bigint, "resume" text, "started_at" bigint, "completed_at" bigint, "last_heartbeat_at" bigint,
    "last_event_at" bigint NOT NULL, "dead_lettered_at" bigint, "error" text, "owner" text NOT NULL, "input" text, "result" text,
    "queue" text, "parent_id" text, "expires_at" bigint, "handler_version" text, "schedule_id" text, "codec" text)`;
}

function taskIndexes(table: string): string[] {
  return [
    `CREATE UNIQUE INDEX "${TASK_INDEXES.keyHash}" ON ${table} ("key_hash")`,
    `CREATE INDEX "${TASK_INDEXES.home}" ON ${table} ("home", "status", "created_at", "id")`,
    `CREATE INDEX "${TASK_INDEXES.status}" ON ${table} ("status", "created_at", "id")`,
    `CREATE INDEX "${TASK_INDEXES.created}" ON ${table} ("created_at", "id")`,
    `CREATE INDEX "${TASK_INDEXES.user}" ON ${table} ("user_id", "created_at", "id")`,
    `CREATE INDEX "${TASK_INDEXES.deadLetters}" ON ${table} ("dead_lettered_at", "id") WHERE "dead_lettered_at" IS NOT NULL`,
    `CREATE INDEX "${TASK_INDEXES.prunable}" ON ${table} ("home", "completed_at", "id") WHERE "completed_at" IS NOT NULL`,
  ];
}
