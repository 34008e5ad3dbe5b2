import type { ClusterNames } from '../cluster-names.js';
import { CLOCK_MS, functionText, opening } from './function-text.js';

/** Columns that a move may change, and their types; the rest is what the task was submitted with. */
const MOVING = {
  home: 'text', status: 'text', attempt: 'int', failures: 'int', fence: 'int', life: 'int', recoveries: 'int', postponements: 'int',
  cancel_requested_at: 'bigint', cancel_reason: 'text', last_seq: 'bigint', run_at: 'bigint', expires_at: 'bigint', retry_delay_ms: 'bigint',
  resume: 'text', started_at: 'bigint', completed_at: 'bigint', last_heartbeat_at: 'bigint', last_event_at: 'bigint',
  dead_lettered_at: 'bigint', error: 'text', owner: 'text', progress: 'text',
} as const; // prettier-ignore

const SEEN = `"i" int, "id" text, "place" text, "fence" int, "last_seq" bigint, "uncancelled" boolean, "dead" bigint, "superseded" text, "home" text`;

/** The places of a task, each with what must hold of it beside fence and sequence. In the order in which they are locked, each by id. */
const PLACES = (
  t: ClusterNames,
): readonly { readonly code: string; readonly table: string; readonly id: string; readonly holds: string }[] => [
  { code: 'q', table: t.queue, id: 'task_id', holds: '' },
  { code: 'r', table: t.runs, id: 'task_id', holds: ` AND (NOT s."uncancelled" OR o."cancel_requested_at" IS NULL)` },
  {
    code: 'e',
    table: t.tasks,
    id: 'id',
    holds: ` AND o."completed_at" IS NOT NULL AND o."dead_lettered_at" IS NOT DISTINCT FROM s."dead" AND o."superseded_by" IS NOT DISTINCT FROM s."superseded"`,
  },
  {
    code: 'f',
    table: t.tasks,
    id: 'id',
    holds:
      ` AND o."completed_at" IS NULL AND o."home" = s."home" AND NOT EXISTS (SELECT FROM ${t.queue} AS q WHERE q."task_id" = o."id")` +
      ` AND NOT EXISTS (SELECT FROM ${t.runs} AS r WHERE r."task_id" = o."id")`,
  },
];

/** What matches is locked first, in one order everywhere; then it is moved. Whoever waited here looks at what the other one left. */
const locks = (t: ClusterNames): string =>
  PLACES(t)
    .map(
      ({ code, table, id, holds }) => `  IF position('${code}' IN head->>'places') > 0 THEN
    FOR v_i IN SELECT s."i" FROM json_to_recordset(head->'seen') AS s(${SEEN}) JOIN ${table} AS o ON o."${id}" = s."id"
      WHERE s."place" = '${code}' AND o."fence" = s."fence" AND (s."last_seq" IS NULL OR o."last_seq" = s."last_seq")${holds}
      ORDER BY o."${id}" FOR UPDATE OF o
    LOOP
      v_ok[v_i] := true;
    END LOOP;
  END IF;`,
    )
    .join('\n');

const moves = (t: ClusterNames): string => `  WITH given AS MATERIALIZED (
    SELECT g.* FROM json_to_recordset(moves) AS g("i" int, "id" text, "place" text, "next" text, "kind" smallint, "due_at" bigint,
      "progress_seq" bigint, "mark_at" bigint, "mark_reason" text, "name" text, "user_key" text, "priority" int, "result" text, "key_hash" text,
      "key_base" bigint, "entries" json, ${Object.entries(MOVING)
        .map(([column, type]) => `"${column}" ${type}`)
        .join(', ')})
    WHERE v_ok[g."i"]
  ), unqueued AS (
    DELETE FROM ${t.queue} AS o USING given AS g WHERE g."place" = 'q' AND o."task_id" = g."id"
  ), stopped AS (
    DELETE FROM ${t.runs} AS o USING given AS g WHERE g."place" = 'r' AND g."next" <> 'r' AND o."task_id" = g."id"
  ), going_on AS (
    UPDATE ${t.runs} AS o SET "last_seq" = greatest(g."last_seq", o."last_seq"), "last_event_at" = greatest(g."last_event_at", o."last_event_at"),
      "progress_seq" = coalesce(g."progress_seq", o."progress_seq"), "kind" = coalesce(g."kind", o."kind"),
      "cancel_requested_at" = coalesce(o."cancel_requested_at", g."mark_at"),
      "cancel_reason" = CASE WHEN o."cancel_requested_at" IS NULL THEN g."mark_reason" ELSE o."cancel_reason" END
    FROM given AS g WHERE g."place" = 'r' AND g."next" = 'r' AND o."task_id" = g."id"
  ), written AS (
    UPDATE ${t.tasks} AS o SET ${Object.keys(MOVING)
      .map((column) => `"${column}" = g."${column}"`)
      .join(', ')},
      "result" = CASE WHEN g."status" = 'completed' THEN coalesce(g."result", o."result") END
    FROM given AS g WHERE g."next" IN ('q', 'e') AND o."id" = g."id"
  ), pruned AS (
    DELETE FROM ${t.tasks} AS o USING given AS g WHERE g."next" = 'g' AND o."id" = g."id"
  ), forgotten AS (
    DELETE FROM ${t.events} AS o USING given AS g WHERE g."next" = 'g' AND o."task_id" = g."id"
  ), retired AS (
    INSERT INTO ${t.retiredKeys} AS o ("key_hash", "base", "retired_at")
    SELECT g."key_hash", g."key_base", v_now FROM given AS g WHERE g."next" = 'g' AND g."key_hash" IS NOT NULL ORDER BY g."key_hash"
    ON CONFLICT ("key_hash") DO UPDATE SET "base" = excluded."base", "retired_at" = excluded."retired_at" WHERE o."base" <= excluded."base"
  ), queued AS (
    INSERT INTO ${t.queue} ("task_id", "kind", "name", "user_key", "priority", "ord", "due_at", "expires_at", "fence", "last_seq", "attempt",
      "last_event_at")
    SELECT g."id", g."kind", g."name", g."user_key", g."priority", coalesce(g."due_at" * 1000, v_now * 1000 + g."i" % 1000), g."due_at",
      CASE WHEN g."fence" = 0 THEN g."expires_at" END, g."fence", g."last_seq", g."attempt", g."last_event_at" FROM given AS g WHERE g."next" = 'q'
  )
  INSERT INTO ${t.events} ("task_id", "seq", "type", "at", "attempt", "fence", "data", "n", "owner")
  SELECT g."id", e."seq", e."type", e."at", e."attempt", e."fence", e."data", e."n", head->>'me' FROM given AS g CROSS JOIN LATERAL
    json_to_recordset(g."entries") AS e("seq" bigint, "n" int, "type" text, "at" bigint, "attempt" int, "fence" int, "data" text)
  WHERE g."next" <> 'g';`;

/** A call that is made again finds its own entry: what it asks for was done by its first try. */
const known = (t: ClusterNames): string => `  IF false = ANY (v_ok) THEN
    FOR v_i IN SELECT g."i" FROM json_to_recordset(moves) AS g("i" int, "id" text, "entries" json)
      JOIN ${t.events} AS o ON o."task_id" = g."id" AND o."seq" = (g."entries"->0->>'seq')::bigint
      WHERE NOT v_ok[g."i"] AND o."owner" = head->>'me' AND o."type" = g."entries"->0->>'type' AND o."at" = (g."entries"->0->>'at')::bigint
        AND o."fence" = (g."entries"->0->>'fence')::int AND o."n" = (g."entries"->0->>'n')::int
    LOOP
      v_ok[v_i] := true;
    END LOOP;
  END IF;`;

export const applyFunction = (t: ClusterNames): string =>
  functionText({
    name: t.fn.apply,
    parameters: 'head json, moves json',
    returns: 'json',
    declare: `  v_now bigint;
  v_i int;
  v_ok boolean[] := array_fill(false, ARRAY[(head->>'n')::int]);`,
    body: `${opening(`head->>'lockMs'`)}
${locks(t)}
  v_now := ${CLOCK_MS};
${moves(t)}
${known(t)}
  RETURN json_build_object('now', v_now, 'applied', v_ok);`,
  });

/** One commit for what ends and what begins. */
export const stepFunction = (t: ClusterNames): string =>
  functionText({
    name: t.fn.step,
    parameters: 'head json, moves json, claim json',
    returns: 'json',
    declare: '  v_applied json;',
    body: `  v_applied := ${t.fn.apply}(head, moves);
  RETURN json_build_object('applied', v_applied->'applied', 'claim', ${t.fn.claim}(claim));`,
  });

/** Time has come for these. Another node may be moving some of them: nobody waits for anybody. */
export const dueFunction = (t: ClusterNames): string =>
  functionText({
    name: t.fn.due,
    parameters: 'most int',
    returns: 'json',
    declare: `  v_now bigint := ${CLOCK_MS};
  v_moved bigint := 0;
  v_next bigint;`,
    body: `${opening(`'1000'`)}
  SELECT "due_at" INTO v_next FROM ${t.queue} WHERE "due_at" IS NOT NULL ORDER BY "due_at" LIMIT 1;
  IF v_next <= v_now THEN
    WITH due AS (
      SELECT "task_id" FROM ${t.queue} WHERE "due_at" <= v_now ORDER BY "due_at" LIMIT most FOR UPDATE SKIP LOCKED
    ), moved AS (
      UPDATE ${t.queue} AS q SET "due_at" = NULL FROM due AS d WHERE q."task_id" = d."task_id" RETURNING 1
    )
    SELECT count(*) INTO v_moved FROM moved;
    SELECT "due_at" INTO v_next FROM ${t.queue} WHERE "due_at" IS NOT NULL ORDER BY "due_at" LIMIT 1;
  END IF;
  RETURN json_build_object('now', v_now, 'moved', v_moved, 'nextAt', v_next);`,
  });
