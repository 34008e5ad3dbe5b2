import type { ClusterNames } from '../cluster-names.js';
import { CLOCK_MS, functionText, opening } from './function-text.js';

const DECLARE = `  v_max bigint := (head->>'max')::bigint;
  v_user_max bigint := (head->>'userMax')::bigint;
  v_size bigint := (head->>'sizeMs')::bigint;
  v_ids text[] := ARRAY(SELECT json_array_elements_text(head->'ids'));
  v_hashes text[] := ARRAY(SELECT json_array_elements_text(head->'hashes'));
  v_lanes text[] := ARRAY(SELECT json_array_elements_text(head->'lanes'));
  v_counted text[] := ARRAY(SELECT json_array_elements_text(head->'counted'));
  v_run_at bigint[] := ARRAY(SELECT json_array_elements_text(head->'runAt')::bigint);
  v_replaced json := head->'replaced';
  v_start json := head->'start';
  v_n int := cardinality(v_ids);
  v_state text[] := array_fill('a'::text, ARRAY[v_n]);
  v_details text[] := array_fill(NULL::text, ARRAY[v_n]);
  v_ok boolean[];
  v_made text[] := '{}';
  v_scopes text[]; v_scope int[]; v_room bigint[];
  v_waiting_room bigint[] := ARRAY[NULL, NULL]; v_wait bigint[];
  v_user_waiting jsonb[] := ARRAY['{}'::jsonb, '{}'::jsonb]; v_user_bound bigint[] := ARRAY[NULL, NULL];
  v_bound bigint; v_now bigint; v_running bigint; v_kind int; v_users jsonb; v_left bigint; v_is_short boolean; v_row record; v_bases json;`;

/** Keys that are taken cost nothing: they are answered before anything is counted. */
const keys = (t: ClusterNames): string => `  IF (head->>'keyed')::boolean THEN
    FOR v_row IN SELECT g."i", o."id" FROM unnest(v_hashes) WITH ORDINALITY AS g("hash", "i") JOIN ${t.tasks} AS o ON o."key_hash" = g."hash"
    LOOP
      v_state[v_row."i"] := 'e'; v_details[v_row."i"] := v_row."id";
    END LOOP;
    FOR v_row IN SELECT "i" FROM (SELECT g."i", row_number() OVER (PARTITION BY g."hash" ORDER BY g."i") AS "nth"
      FROM unnest(v_hashes) WITH ORDINALITY AS g("hash", "i") WHERE g."hash" IS NOT NULL) AS s WHERE "nth" > 1
    LOOP
      IF v_state[v_row."i"] = 'a' THEN v_state[v_row."i"] := 'd'; END IF;
    END LOOP;
  END IF;`;

/** Order of locks: windows by scope, places by id, the turn. The clock is read behind the windows, so that their admissions are in order. */
const windows = (
  t: ClusterNames,
): string => `  v_scopes := ARRAY['*'] || ARRAY(SELECT DISTINCT g."scope" COLLATE "C" FROM unnest(v_counted) AS g("scope") WHERE g."scope" IS NOT NULL ORDER BY 1);
  LOOP
    INSERT INTO ${t.windows} ("scope", "n", "at") SELECT g."scope", 0, 0 FROM unnest(v_scopes) WITH ORDINALITY AS g("scope", "i") ORDER BY g."i"
      ON CONFLICT DO NOTHING;
    PERFORM 1 FROM ${t.windows} WHERE "scope" = ANY (v_scopes) ORDER BY "scope" FOR UPDATE;
    GET DIAGNOSTICS v_left = ROW_COUNT;
    EXIT WHEN v_left = cardinality(v_scopes); -- the sweep may have taken one between the two
  END LOOP;
  v_now := ${CLOCK_MS};
  SELECT array_agg(CASE WHEN g."i" = 1 THEN v_max ELSE v_user_max END - w."n" + greatest(
      coalesce((SELECT a."n" FROM ${t.admissions} AS a WHERE a."scope" = w."scope" AND a."at" <= v_now - v_size ORDER BY a."at" DESC LIMIT 1), 0),
      -- The clock was set back: what lies ahead of it would hold the window for as long.
      coalesce((SELECT a."n" FROM ${t.admissions} AS a WHERE a."scope" = w."scope" AND a."at" > v_now + 1000 ORDER BY a."at" DESC LIMIT 1), 0))
    ORDER BY g."i") INTO v_room
  FROM unnest(v_scopes) WITH ORDINALITY AS g("scope", "i") JOIN ${t.windows} AS w ON w."scope" = g."scope";
  SELECT array_agg(s."i" ORDER BY g."i") INTO v_scope FROM unnest(v_counted) WITH ORDINALITY AS g("scope", "i")
    LEFT JOIN unnest(v_scopes) WITH ORDINALITY AS s("scope", "i") ON s."scope" = g."scope";`;

/** Rows that are seen to be no longer what the caller saw keep their key. Locked by id, as everybody does. */
const replaced = (t: ClusterNames): string => `  IF v_replaced IS NOT NULL THEN
    FOR v_row IN SELECT r."i" FROM json_to_recordset(v_replaced) AS r("i" int) LOOP v_state[v_row."i"] := 'x'; END LOOP;
    FOR v_row IN SELECT r."i" FROM json_to_recordset(v_replaced) AS r("i" int, "id" text, "fence" int, "last_seq" bigint, "dead" bigint)
      JOIN ${t.tasks} AS o ON o."id" = r."id" WHERE o."fence" = r."fence" AND o."last_seq" = r."last_seq" AND o."completed_at" IS NOT NULL
        AND o."key_hash" = v_hashes[r."i"] AND o."dead_lettered_at" IS NOT DISTINCT FROM r."dead" ORDER BY o."id" FOR UPDATE OF o
    LOOP
      v_state[v_row."i"] := 'a';
    END LOOP;
  END IF;`;

/** What waits, 1 for a slot and 2 for its time: the count stops where the bound is reached, and single users are looked at where one could be over his. */
const waiting = (t: ClusterNames): string => `  FOR v_kind IN 1..2 LOOP
    v_bound := (head->'waiting'->(v_kind - 1)->>0)::bigint;
    CONTINUE WHEN v_bound IS NULL OR v_start IS NOT NULL;
    v_user_bound[v_kind] := (head->'waiting'->(v_kind - 1)->>1)::bigint;
    IF v_kind = 1 THEN SELECT count(*) INTO v_left FROM (SELECT FROM ${t.queue} WHERE "due_at" IS NULL LIMIT v_bound + 1) AS q;
    ELSE SELECT count(*) INTO v_left FROM (SELECT FROM ${t.queue} WHERE "due_at" IS NOT NULL LIMIT v_bound + 1) AS q; END IF;
    v_waiting_room[v_kind] := greatest(v_bound - v_left, 0);
    CONTINUE WHEN v_left + v_n <= v_user_bound[v_kind];
    IF v_kind = 2 THEN
      SELECT coalesce(jsonb_object_agg(u."lane", (SELECT count(*) FROM ${t.queue} AS q WHERE q."due_at" IS NOT NULL AND q."user_key" = u."lane")), '{}')
        INTO v_users FROM (SELECT DISTINCT g."lane" FROM unnest(v_lanes) AS g("lane") WHERE g."lane" <> '-') AS u;
    ELSE
      -- A user's lanes: one descent of the index for each kind and name, as it begins with those.
      WITH RECURSIVE lane("kind", "name") AS (
        (SELECT q."kind", q."name" FROM ${t.queue} AS q WHERE q."due_at" IS NULL ORDER BY q."kind", q."name" LIMIT 1)
        UNION ALL
        SELECT n."kind", n."name" FROM lane AS l CROSS JOIN LATERAL (SELECT q."kind", q."name" FROM ${t.queue} AS q
          WHERE q."due_at" IS NULL AND (q."kind", q."name") > (l."kind", l."name") ORDER BY q."kind", q."name" LIMIT 1) AS n
      )
      SELECT coalesce(jsonb_object_agg(u."lane", (SELECT count(*) FROM lane AS l JOIN ${t.queue} AS q
          ON q."due_at" IS NULL AND q."kind" = l."kind" AND q."name" = l."name" AND q."user_key" = u."lane")), '{}')
        INTO v_users FROM (SELECT DISTINCT g."lane" FROM unnest(v_lanes) AS g("lane") WHERE g."lane" <> '-') AS u;
    END IF;
    v_user_waiting[v_kind] := v_users;
  END LOOP;`;

/** In the order of the group, so that whoever came first has what is left. A refusal by one limit takes nothing from the others. */
const ADMISSION = `  v_is_short := v_waiting_room[1] < v_n OR v_waiting_room[2] < v_n OR v_user_waiting <> ARRAY['{}'::jsonb, '{}'::jsonb] OR v_room[1] < v_n
    OR EXISTS (SELECT FROM unnest(v_scope) AS g("i") WHERE g."i" IS NOT NULL GROUP BY g."i" HAVING count(*) > v_room[g."i"]);
  IF v_is_short THEN
    FOR i IN 1..v_n LOOP
      CONTINUE WHEN v_state[i] <> 'a';
      v_kind := CASE WHEN v_run_at[i] > v_now THEN 2 ELSE 1 END;
      v_left := (v_user_waiting[v_kind]->>v_lanes[i])::bigint;
      IF v_waiting_room[v_kind] < 1 OR v_left >= v_user_bound[v_kind] THEN v_state[i] := CASE v_kind WHEN 1 THEN 'q' ELSE 'l' END;
      ELSIF v_room[v_scope[i]] < 1 THEN v_state[i] := 'u';
      ELSIF v_room[1] < 1 THEN v_state[i] := 'g';
      ELSE
        v_room[1] := v_room[1] - 1;
        IF v_scope[i] IS NOT NULL THEN v_room[v_scope[i]] := v_room[v_scope[i]] - 1; END IF;
        v_waiting_room[v_kind] := v_waiting_room[v_kind] - 1;
        IF v_left IS NOT NULL THEN v_user_waiting[v_kind] := jsonb_set(v_user_waiting[v_kind], ARRAY[v_lanes[i]], to_jsonb(v_left + 1)); END IF;
      END IF;
    END LOOP;
  END IF;`;

/** Locked, and counted in the next statement: one statement would count what it saw before it waited. */
const start = (t: ClusterNames): string => `  IF v_start IS NOT NULL AND v_state[1] = 'a' THEN
    PERFORM 1 FROM ${t.turns} WHERE "shard" = 0 AND "name" = '' FOR UPDATE;
    SELECT count(*) INTO v_running FROM ${t.runs};
    IF v_running >= (v_start->>'all')::bigint
      OR (v_lanes[1] <> '-' AND (SELECT count(*) FROM ${t.runs} WHERE "user_key" = v_lanes[1]) >= (v_start->>'perUser')::bigint)
      OR (SELECT count(*) FROM ${t.runs} WHERE "name" = v_start->>'name') >= (v_start->>'handler')::bigint
    THEN v_state[1] := 's'; END IF;
  END IF;`;

const insertion = (t: ClusterNames): string => {
  const call = `${t.fn.insert}(head->>'me', v_now, tasks, v_ok, v_replaced, v_start IS NOT NULL)`;
  return `  SELECT array_agg(g."state" = 'a' ORDER BY g."i") INTO v_ok FROM unnest(v_state) WITH ORDINALITY AS g("state", "i");
  IF NOT (head->>'all')::boolean THEN v_made := ${call};
  ELSIF NOT false = ANY (v_ok) THEN
    BEGIN
      v_made := ${call};
      IF cardinality(v_made) < v_n THEN RAISE EXCEPTION USING ERRCODE = 'TF100'; END IF;
    EXCEPTION WHEN SQLSTATE 'TF100' THEN v_made := '{}';
    END;
  END IF;`;
};

/** A hit gives its admission back by not being counted. What has left the window goes, but for the newest: it holds the number. */
const counting = (t: ClusterNames): string => `  IF cardinality(v_made) > 0 THEN
    WITH counted AS (
      SELECT g."scope", count(*) AS "n" FROM unnest(v_ids, v_counted) AS s("id", "scope") JOIN unnest(v_made) AS m("id") ON m."id" = s."id"
        CROSS JOIN LATERAL (VALUES ('*'), (s."scope")) AS g("scope") WHERE g."scope" IS NOT NULL GROUP BY 1
    ), windowed AS (
      UPDATE ${t.windows} AS w SET "n" = w."n" + c."n", "at" = v_now FROM counted AS c WHERE w."scope" = c."scope" RETURNING w."scope", w."n"
    )
    INSERT INTO ${t.admissions} AS a ("scope", "at", "n") SELECT w."scope", v_now, w."n" FROM windowed AS w
      ON CONFLICT ("scope", "at") DO UPDATE SET "n" = excluded."n";
    DELETE FROM ${t.admissions} AS a USING unnest(v_scopes) AS g("scope") WHERE a."scope" = g."scope" AND (a."at" > v_now + 1000 OR a."at" < (
      SELECT o."at" FROM ${t.admissions} AS o WHERE o."scope" = g."scope" AND o."at" <= v_now - v_size ORDER BY o."at" DESC LIMIT 1));
  END IF;`;

/** A second statement sees who has the key: the one that met it does not. */
const answer = (t: ClusterNames): string => `  IF (head->>'keyed')::boolean THEN
    SELECT json_object_agg(o."id", o."key_base") INTO v_bases FROM unnest(v_made) AS m("id") JOIN ${t.tasks} AS o ON o."id" = m."id"
      WHERE o."key_base" IS NOT NULL;
  END IF;
  IF cardinality(v_made) = v_n THEN RETURN json_build_object('now', v_now, 'bases', v_bases); END IF;
  FOR v_row IN SELECT g."i", o."id", o."created_at" FROM unnest(v_ids) WITH ORDINALITY AS g("id", "i") JOIN ${t.tasks} AS o ON o."id" = g."id"
  LOOP
    v_state[v_row."i"] := 'c'; v_details[v_row."i"] := v_row."created_at";
  END LOOP;
  FOR v_row IN SELECT g."i", o."id" FROM unnest(v_hashes) WITH ORDINALITY AS g("hash", "i") JOIN ${t.tasks} AS o ON o."key_hash" = g."hash"
  LOOP
    CONTINUE WHEN v_state[v_row."i"] IN ('c', 'x');
    v_state[v_row."i"] := 'e'; v_details[v_row."i"] := v_row."id";
  END LOOP;
  SELECT array_agg(CASE WHEN "n" + 1 > "max" THEN coalesce((SELECT a."at" FROM ${t.admissions} AS a WHERE a."scope" = s."scope"
      AND a."at" > v_now - v_size AND a."n" > s."n" - s."max" ORDER BY a."at" LIMIT 1), v_now) + v_size - v_now END ORDER BY s."i") INTO v_wait
  FROM (SELECT g."i", g."scope", w."n", CASE WHEN g."i" = 1 THEN v_max ELSE v_user_max END AS "max"
    FROM unnest(v_scopes) WITH ORDINALITY AS g("scope", "i") JOIN ${t.windows} AS w ON w."scope" = g."scope") AS s;
  -- Named is the limit that holds longer: a caller who waits as told must not meet the other one.
  FOR i IN 1..v_n LOOP
    CONTINUE WHEN v_state[i] NOT IN ('g', 'u');
    v_state[i] := CASE WHEN coalesce(v_wait[v_scope[i]], -1) >= coalesce(v_wait[1], 0) THEN 'u' ELSE 'g' END;
    v_details[i] := greatest(v_wait[1], v_wait[v_scope[i]]);
  END LOOP;
  RETURN json_build_object('now', v_now, 'bases', v_bases, 'states', v_state, 'details', v_details);`;

export const submitFunction = (t: ClusterNames): string =>
  functionText({
    name: t.fn.submit,
    parameters: 'head json, tasks json',
    returns: 'json',
    declare: DECLARE,
    body: [
      opening(`head->>'lockMs'`),
      keys(t),
      windows(t),
      replaced(t),
      waiting(t),
      ADMISSION,
      start(t),
      insertion(t),
      counting(t),
      answer(t),
    ].join('\n'),
  });
