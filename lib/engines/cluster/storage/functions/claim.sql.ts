import type { ClusterNames } from '../cluster-names.js';
import { CLOCK_MS, functionText, opening } from './function-text.js';

const DECLARE = `  v_me text := head->>'me';
  v_want int := (head->>'want')::int;
  v_all int := (head->>'all')::int;
  v_per_user int := (head->>'perUser')::int;
  v_bounds int[] := ARRAY[(head->>'recovering')::int, (head->>'suspect')::int];
  v_names text[]; v_limits int[]; v_now bigint; v_at_name text; v_at_user text; v_marks jsonb;
  v_runs int; v_kinds int[]; v_busy jsonb; v_by_name jsonb; v_rooms jsonb; v_room int; v_take int; v_first int;
  v_seg_name text[]; v_seg_from text[]; v_seg_to text[]; v_left int[]; v_seg_ix int[];
  v_lane_names text[]; v_lane_users text[]; v_lane_ix int[]; v_found text[]; v_need int; v_n int; v_k int;
  v_ids text[]; v_cnames text[]; v_users text[]; v_ords bigint[]; v_pos int[]; v_rounds int[];
  v_answer json; v_answers json[] := '{}'; v_more boolean;`;

const ready = (t: ClusterNames, kinds: string): string =>
  `SELECT FROM ${t.queue} AS q WHERE q."due_at" IS NULL AND q."kind" = ANY (${kinds}) AND q."name" = ANY (v_names)`;

/** The next statement after the turn: what runs, as of now. A stale count could only be of runs that end, which need no turn. */
const counts = (
  t: ClusterNames,
): string => `    SELECT coalesce(sum(c."n"), 0), ARRAY[coalesce(sum(c."n") FILTER (WHERE c."kind" = 1), 0), coalesce(sum(c."n") FILTER (WHERE c."kind" = 2), 0)]
      INTO v_runs, v_kinds FROM (SELECT r."kind", count(*) AS "n" FROM ${t.runs} AS r GROUP BY 1) AS c;
    SELECT coalesce(jsonb_object_agg(c."user_key", c."n"), '{}') INTO v_busy
      FROM (SELECT r."user_key", count(*) AS "n" FROM ${t.runs} AS r WHERE r."user_key" <> '-' GROUP BY 1) AS c;
    SELECT coalesce(jsonb_object_agg(g."name", g."limit" - coalesce(c."n", 0)), '{}') INTO v_rooms
      FROM unnest(v_names, v_limits) AS g("name", "limit")
      LEFT JOIN (SELECT r."name", count(*) AS "n" FROM ${t.runs} AS r GROUP BY 1) AS c ON c."name" = g."name" WHERE g."limit" IS NOT NULL;`;

/** Few, and all older than anything else: in the order of their age. */
const RECOVERED = (
  t: ClusterNames,
): string => `      SELECT array_agg(c."task_id"), array_agg(c."name"), array_agg(c."user_key"), array_agg(c."ord"), array_agg(c."nth"), array_agg(1)
        INTO v_ids, v_cnames, v_users, v_ords, v_pos, v_rounds FROM (
          SELECT q.*, row_number() OVER (ORDER BY q."ord", q."task_id")::int AS "nth" FROM ${t.queue} AS q
          WHERE q."due_at" IS NULL AND q."kind" = v_kind AND q."name" = ANY (v_names) AND (q."expires_at" IS NULL OR q."expires_at" > v_now)
            AND coalesce((v_busy->>q."user_key")::int, 0) < v_per_user AND coalesce((v_rooms->>q."name")::int, 1) > 0
          ORDER BY q."ord", q."task_id" LIMIT 1000) AS c;`;

/**
 * The ring of lanes (name, user). It goes on behind the lane that was served last, name by name; what lies before that lane comes last.
 * A handler at its limit cannot serve all of its lanes in one visit, so that it remembers where it was.
 */
const RING = (t: ClusterNames): string => `      v_n := cardinality(v_names); v_first := 1;
      FOR i IN 1..v_n LOOP
        IF v_names[i] COLLATE "C" >= v_at_name THEN v_first := i; EXIT; END IF;
      END LOOP;
      v_seg_name := '{}'; v_seg_from := '{}'; v_seg_to := '{}'; v_seg_ix := '{}'; v_left := '{}';
      FOR i IN 0..v_n - 1 LOOP
        v_k := (v_first - 1 + i) % v_n + 1;
        v_room := coalesce((v_rooms->>v_names[v_k])::int, v_want);
        v_left[v_k] := v_room;
        CONTINUE WHEN v_room <= 0;
        v_from := CASE WHEN v_marks ? v_names[v_k] AND v_limits[v_k] IS NOT NULL THEN v_marks->>v_names[v_k]
          WHEN i = 0 AND v_names[v_k] = v_at_name THEN v_at_user ELSE '' END;
        v_seg_name := v_seg_name || v_names[v_k]; v_seg_from := v_seg_from || v_from; v_seg_to := v_seg_to || NULL::text; v_seg_ix := v_seg_ix || v_k;
        IF v_from <> '' AND i > 0 THEN
          v_seg_name := v_seg_name || v_names[v_k]; v_seg_from := v_seg_from || ''::text; v_seg_to := v_seg_to || v_from; v_seg_ix := v_seg_ix || v_k;
        END IF;
        IF i = 0 THEN v_rest := v_from; END IF;
      END LOOP;
      IF v_rest <> '' THEN
        v_seg_name := v_seg_name || v_names[v_first]; v_seg_from := v_seg_from || ''::text; v_seg_to := v_seg_to || v_rest; v_seg_ix := v_seg_ix || v_first;
      END IF;
      v_lane_names := '{}'; v_lane_users := '{}'; v_need := v_take;
      FOR i IN 1..cardinality(v_seg_name) LOOP
        EXIT WHEN v_need <= 0;
        v_k := least(v_need, v_left[v_seg_ix[i]]);
        CONTINUE WHEN v_k <= 0;
        WITH RECURSIVE hop("user_key") AS (
          (SELECT q."user_key" FROM ${t.queue} AS q WHERE q."due_at" IS NULL AND q."kind" = 0 AND q."name" = v_seg_name[i]
            AND q."user_key" > v_seg_from[i] ORDER BY q."user_key" LIMIT 1)
          UNION ALL
          SELECT (SELECT q."user_key" FROM ${t.queue} AS q WHERE q."due_at" IS NULL AND q."kind" = 0 AND q."name" = v_seg_name[i]
            AND q."user_key" > h."user_key" ORDER BY q."user_key" LIMIT 1)
          FROM hop AS h WHERE h."user_key" <= coalesce(v_seg_to[i], h."user_key")
        )
        SELECT coalesce(array_agg(s."user_key"), '{}') INTO v_found FROM (
          SELECT h."user_key" FROM hop AS h WHERE h."user_key" <= coalesce(v_seg_to[i], h."user_key")
            AND coalesce((v_busy->>h."user_key")::int, 0) < v_per_user LIMIT v_k) AS s;
        v_lane_users := v_lane_users || v_found;
        v_lane_names := v_lane_names || array_fill(v_seg_name[i], ARRAY[cardinality(v_found)]);
        v_need := v_need - cardinality(v_found);
        v_left[v_seg_ix[i]] := v_left[v_seg_ix[i]] - cardinality(v_found);
      END LOOP;
      v_k := CASE WHEN v_need <= 0 THEN 1 ELSE v_take END;
      SELECT array_agg(c."task_id"), array_agg(c."name"), array_agg(c."user_key"), array_agg(c."ord"), array_agg(c."pos"), array_agg(c."round")
        INTO v_ids, v_cnames, v_users, v_ords, v_pos, v_rounds
      FROM (SELECT h."task_id", l."name", l."user_key", h."ord", l."pos"::int, h."round"::int
        FROM unnest(v_lane_names, v_lane_users) WITH ORDINALITY AS l("name", "user_key", "pos")
        CROSS JOIN LATERAL (SELECT q."task_id", q."ord", row_number() OVER (ORDER BY q."priority", q."ord", q."task_id") AS "round"
          FROM ${t.queue} AS q WHERE q."due_at" IS NULL AND q."kind" = 0 AND q."name" = l."name" AND q."user_key" = l."user_key"
            AND (q."expires_at" IS NULL OR q."expires_at" > v_now)
          ORDER BY q."priority", q."ord", q."task_id"
          LIMIT least(v_k, CASE WHEN l."user_key" = '-' THEN v_k ELSE v_per_user - coalesce((v_busy->>l."user_key")::int, 0) END)) AS h) AS c;`;

/** Where the next claim goes on: behind the last lane that gave its first task. */
const MOVE_ON = (t: ClusterNames): string => `      v_k := (v_answer->>'pos')::int;
      IF v_kind = 0 AND v_k IS NOT NULL THEN
        UPDATE ${t.turns} SET "at_name" = v_lane_names[v_k], "at_user" = v_lane_users[v_k] WHERE "shard" = 0 AND "name" = '';
        INSERT INTO ${t.turns} AS o ("shard", "name", "at_user")
        SELECT DISTINCT ON (l."name") 0, l."name", l."user_key" FROM unnest(v_lane_names, v_lane_users) WITH ORDINALITY AS l("name", "user_key", "pos")
          JOIN unnest(v_names, v_limits) AS g("name", "limit") ON g."name" = l."name" AND g."limit" IS NOT NULL
          WHERE l."pos" <= v_k ORDER BY l."name", l."pos" DESC
        ON CONFLICT ("shard", "name") DO UPDATE SET "at_user" = excluded."at_user";
      END IF;`;

export const claimFunction = (t: ClusterNames): string =>
  functionText({
    name: t.fn.claim,
    parameters: 'head json',
    returns: 'json',
    declare: `${DECLARE} v_from text; v_rest text := '';`,
    body: `${opening(`head->>'lockMs'`)}
  SELECT array_agg(h."name" ORDER BY h."name" COLLATE "C"), array_agg(h."limit" ORDER BY h."name" COLLATE "C") INTO v_names, v_limits
    FROM json_to_recordset(head->'handlers') AS h("name" text, "limit" int);
  IF v_want < 1 OR NOT EXISTS (${ready(t, `'{0,1,2}'`)}) THEN
    RETURN json_build_object('now', ${CLOCK_MS}, 'more', false);
  END IF;
  SELECT o."at_name", o."at_user" INTO v_at_name, v_at_user FROM ${t.turns} AS o WHERE o."shard" = 0 AND o."name" = '' FOR UPDATE;
  v_now := ${CLOCK_MS};
  SELECT coalesce(jsonb_object_agg(o."name", o."at_user"), '{}') INTO v_marks FROM ${t.turns} AS o WHERE o."shard" = 0 AND o."name" <> '';
  FOR v_kind IN REVERSE 2..0 LOOP
    CONTINUE WHEN v_kind > 0 AND NOT EXISTS (${ready(t, 'ARRAY[v_kind]')});
${counts(t)}
    v_take := least(v_want, v_all - v_runs, CASE WHEN v_kind > 0 THEN v_bounds[v_kind] - v_kinds[v_kind] ELSE v_want END);
    CONTINUE WHEN v_take <= 0;
    IF v_kind > 0 THEN
${RECOVERED(t)}
    ELSE
${RING(t)}
    END IF;
    CONTINUE WHEN v_ids IS NULL;
    v_answer := ${t.fn.take}(v_me, v_now, v_take, v_per_user, v_busy, v_rooms, v_ids, v_cnames, v_users, v_ords, v_pos, v_rounds);
    IF (v_answer->>'n')::int > 0 THEN
      v_answers := v_answers || (v_answer->'runs');
      v_want := v_want - (v_answer->>'n')::int;
${MOVE_ON(t)}
    END IF;
  END LOOP;
  RETURN json_build_object('now', v_now, 'runs', v_answers, 'more', EXISTS (${ready(t, `'{0,1,2}'`)}));`,
  });
