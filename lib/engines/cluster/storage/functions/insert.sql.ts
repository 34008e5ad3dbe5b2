import type { ClusterNames } from '../cluster-names.js';
import { functionText } from './function-text.js';

/**
 * The rows of new tasks, for `submit` alone: those of `tasks` for which `ok` is true.
 * @returns the ids that were made; a task whose key somebody else has is left out.
 */
export const insertFunction = (t: ClusterNames): string =>
  functionText({
    name: t.fn.insert,
    parameters: 'me text, at_ms bigint, tasks json, ok boolean[], replaced json, starts boolean',
    returns: 'text[]',
    declare: '  v_made text[];',
    body: `  IF replaced IS NOT NULL THEN
    -- Before the insert: the unique index looks at each row as it is written.
    UPDATE ${t.tasks} AS o SET "key_hash" = NULL, "superseded_by" = r."by", "dead_lettered_at" = NULL
    FROM json_to_recordset(replaced) AS r("i" int, "id" text, "by" text) WHERE o."id" = r."id" AND ok[r."i"];
  END IF;
  WITH given AS MATERIALIZED (
    SELECT g.*, CASE WHEN g."run_at" > at_ms THEN g."run_at" END AS "due_at", coalesce(k."base", 0) AS "base"
    FROM json_to_recordset(tasks) AS g("i" int, "id" text, "home" text, "name" text, "task_key" text, "scoped_key" text, "key_hash" text,
      "input_hash" text, "user_id" text, "user_key" text, "type" text, "priority" int, "tags" text, "key_base" bigint, "traceparent" text,
      "max_attempts" int, "timeout_ms" bigint, "run_at" bigint, "delay_ms" bigint, "expires_at" bigint, "input" text, "data" text)
    LEFT JOIN ${t.retiredKeys} AS k ON k."key_hash" = g."key_hash" AND g."key_base" = 0
    WHERE ok[g."i"]
  ), made AS (
    -- Keys in one order everywhere: two calls that share two of them would else wait for each other.
    INSERT INTO ${t.tasks} ("id", "home", "name", "task_key", "scoped_key", "key_hash", "input_hash", "user_id", "type", "status", "priority",
      "tags", "key_base", "traceparent", "attempt", "max_attempts", "failures", "fence", "life", "recoveries", "timeout_ms", "last_seq",
      "created_at", "run_at", "expires_at", "retry_delay_ms", "last_event_at", "owner", "input")
    SELECT "id", "home", "name", "task_key", "scoped_key", "key_hash", "input_hash", "user_id", "type", 'created', "priority",
      "tags", nullif(greatest("key_base", "base"), 0), "traceparent", 1, "max_attempts", 0, 0, 1, 0, "timeout_ms", 1,
      at_ms, coalesce("run_at", at_ms), "expires_at", "delay_ms", at_ms, me, "input"
    FROM given ORDER BY "key_hash"
    ON CONFLICT DO NOTHING RETURNING "id"
  ), told AS (
    INSERT INTO ${t.events} ("task_id", "seq", "type", "at", "attempt", "fence", "data", "n", "owner")
    SELECT g."id", e."seq", e."type", at_ms, 1, e."seq" - 1, CASE
      WHEN e."seq" = 2 THEN ''
      WHEN g."base" > 0 THEN '{"keyBase":' || g."base" || ',' || substr(g."data", 2)
      ELSE g."data" END, 1, me
    FROM made JOIN given AS g USING ("id")
    CROSS JOIN LATERAL (SELECT 1 AS "seq", 'created' AS "type" UNION ALL SELECT 2, 'start' WHERE starts) AS e
  ), queued AS (
    INSERT INTO ${t.queue} ("task_id", "kind", "name", "user_key", "priority", "ord", "due_at", "expires_at", "fence", "last_seq", "attempt",
      "last_event_at")
    SELECT g."id", 0, g."name", g."user_key", g."priority", coalesce(g."due_at" * 1000, at_ms * 1000 + g."i"), g."due_at", g."expires_at",
      0, 1, 1, at_ms
    FROM made JOIN given AS g USING ("id") WHERE NOT starts
  ), started AS (
    INSERT INTO ${t.runs} ("task_id", "owner", "fence", "last_seq", "attempt", "name", "user_key", "kind", "started_at", "last_event_at")
    SELECT g."id", me, 1, 2, 1, g."name", g."user_key", 0, at_ms, at_ms FROM made JOIN given AS g USING ("id") WHERE starts
  )
  SELECT coalesce(array_agg("id"), '{}') INTO v_made FROM made;
  RETURN v_made;`,
  });
