import type { ClusterNames } from '../cluster-names.js';

/**
 * Order within queue and runs must be the same everywhere, hence "C" for what the ring walks by. Ids are compared with those of the
 * tasks, so that they keep the collation that those have.
 */
const C = 'text COLLATE "C" NOT NULL';

/** Their rows come and go with every task: what is dead is to be cleared as soon as it is. */
const BUSY = 'autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_cost_delay = 0';

/** Tables of version 1. A released statement is never changed. */
export const clusterTables = (t: ClusterNames): readonly string[] => [
  // What every log's home writes as before: one entry a row, of an owner that is nobody's to ask for.
  `ALTER TABLE ${t.events} ADD COLUMN "n" integer NOT NULL DEFAULT 1`,
  `ALTER TABLE ${t.events} ADD COLUMN "owner" text`,
  `CREATE TABLE ${t.queue} ("task_id" text NOT NULL PRIMARY KEY, "kind" smallint NOT NULL, "name" ${C}, "user_key" ${C},
    "priority" integer NOT NULL, "ord" bigint NOT NULL, "due_at" bigint, "expires_at" bigint, "fence" integer NOT NULL,
    "last_seq" bigint NOT NULL, "attempt" integer NOT NULL, "last_event_at" bigint NOT NULL) WITH (${BUSY})`,
  `CREATE INDEX "taskflow_queue_ready" ON ${t.queue} ("kind", "name", "user_key", "priority", "ord", "task_id") WHERE "due_at" IS NULL`,
  `CREATE INDEX "taskflow_queue_due" ON ${t.queue} ("due_at") WHERE "due_at" IS NOT NULL`,
  `CREATE INDEX "taskflow_queue_delayed_user" ON ${t.queue} ("user_key") WHERE "due_at" IS NOT NULL`,
  `CREATE INDEX "taskflow_queue_expires" ON ${t.queue} ("expires_at") WHERE "expires_at" IS NOT NULL`,
  // Progress rewrites a run's row: half of each page is left for that, so that no index has to follow.
  `CREATE TABLE ${t.runs} ("task_id" text NOT NULL PRIMARY KEY, "owner" text NOT NULL, "fence" integer NOT NULL, "last_seq" bigint NOT NULL,
    "attempt" integer NOT NULL, "name" ${C}, "user_key" ${C}, "kind" smallint NOT NULL, "started_at" bigint NOT NULL,
    "last_event_at" bigint NOT NULL, "progress_seq" bigint, "cancel_requested_at" bigint, "cancel_reason" text,
    "heartbeat_at" bigint) WITH (fillfactor = 50, ${BUSY})`,
  `CREATE TABLE ${t.members} ("id" text NOT NULL PRIMARY KEY, "beat" bigint NOT NULL, "beat_at" bigint NOT NULL, "version" text NOT NULL,
    "handlers" text NOT NULL, "config_hash" text NOT NULL, "draining" boolean NOT NULL) WITH (fillfactor = 50, ${BUSY})`,
  `CREATE TABLE ${t.turns} ("shard" integer NOT NULL, "name" ${C}, "at_name" text COLLATE "C", "at_user" ${C},
    PRIMARY KEY ("shard", "name")) WITH (fillfactor = 50, ${BUSY})`,
  `INSERT INTO ${t.turns} ("shard", "name", "at_name", "at_user") VALUES (0, '', '', '')`,
  `CREATE TABLE ${t.windows} ("scope" ${C} PRIMARY KEY, "n" bigint NOT NULL, "at" bigint NOT NULL) WITH (fillfactor = 50, ${BUSY})`,
  `CREATE TABLE ${t.admissions} ("scope" ${C}, "at" bigint NOT NULL, "n" bigint NOT NULL, PRIMARY KEY ("scope", "at")) WITH (${BUSY})`,
  `CREATE TABLE ${t.holds} ("what" text NOT NULL PRIMARY KEY, "holder" text NOT NULL, "until" bigint NOT NULL)`,
  `ALTER TABLE ${t.tasks} SET (fillfactor = 90)`,
];

export const droppedTables = (t: ClusterNames): readonly string[] => [
  ...[t.holds, t.admissions, t.windows, t.turns, t.members, t.runs, t.queue].map((table) => `DROP TABLE ${table}`),
  `ALTER TABLE ${t.events} DROP COLUMN "n", DROP COLUMN "owner"`,
];
