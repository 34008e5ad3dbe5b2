import type { ClusterNames } from '../cluster-names.js';
import { functionText } from './function-text.js';

/** The columns of a task as version 1 of the functions gives them out, in this order. A released list is never changed. */
export const TASK_COLUMNS_V1 = [
  'id', 'home', 'name', 'task_key', 'input_hash', 'user_id', 'type', 'status', 'priority', 'tags', 'superseded_by', 'key_base', 'traceparent',
  'attempt', 'max_attempts', 'failures', 'fence', 'life', 'recoveries', 'postponements', 'timeout_ms', 'cancel_requested_at', 'cancel_reason',
  'last_seq', 'created_at', 'run_at', 'expires_at', 'retry_delay_ms', 'resume', 'started_at', 'completed_at', 'last_heartbeat_at',
  'last_event_at', 'dead_lettered_at', 'error', 'owner', 'progress',
] as const; // prettier-ignore

/** Inputs that go along with one answer. Unit: bytes. */
const MAX_INPUTS = 4 * 1024 * 1024;

/**
 * For `claim` alone, behind the turn: takes the candidates that fit, in their order. `pos` numbers the lanes in ring order, `round` the
 * tasks of a lane.
 * @returns how many, and their rows; `pos` is the last lane that gave its first task.
 */
export const takeFunction = (t: ClusterNames): string =>
  functionText({
    name: t.fn.take,
    parameters:
      'me text, at_ms bigint, want int, per_user int, busy jsonb, rooms jsonb, ids text[], names text[], users text[], ords bigint[], positions int[], rounds int[]',
    returns: 'json',
    declare: '  v_answer json;',
    body: `  WITH given AS (
    SELECT * FROM unnest(ids, names, users, ords, positions, rounds) AS g("id", "name", "user_key", "ord", "pos", "round")
  ), by_user AS (
    -- Of one user whoever has waited longest, so that none of his handlers waits for ever behind another.
    SELECT g.*, row_number() OVER (PARTITION BY g."user_key" ORDER BY g."round", g."ord", g."pos") AS "nth" FROM given AS g
  ), by_name AS (
    SELECT u.*, row_number() OVER (PARTITION BY u."name" ORDER BY u."round", u."pos") AS "nth_of_name" FROM by_user AS u
    WHERE u."user_key" = '-' OR u."nth" <= per_user - coalesce((busy->>u."user_key")::int, 0)
  ), picked AS (
    SELECT n."id", n."pos", n."round" FROM by_name AS n
    WHERE n."nth_of_name" <= coalesce((rooms->>n."name")::int, want) ORDER BY n."round", n."pos" LIMIT want
  ), held AS (
    -- Somebody who moves one of them may wait for the turn, which is ours: waiting for him would be for ever.
    SELECT q."task_id", p."pos", p."round" FROM picked AS p JOIN ${t.queue} AS q ON q."task_id" = p."id" FOR UPDATE OF q SKIP LOCKED
  ), gone AS (
    DELETE FROM ${t.queue} AS q USING held AS h WHERE q."task_id" = h."task_id"
    RETURNING q.*, h."pos", h."round", greatest(at_ms, q."last_event_at") AS "at"
  ), begun AS (
    INSERT INTO ${t.runs} ("task_id", "owner", "fence", "last_seq", "attempt", "name", "user_key", "kind", "started_at", "last_event_at")
    SELECT g."task_id", me, g."fence" + 1, g."last_seq" + 1, g."attempt", g."name", g."user_key", g."kind", g."at", g."at" FROM gone AS g
  ), told AS (
    INSERT INTO ${t.events} ("task_id", "seq", "type", "at", "attempt", "fence", "data", "n", "owner")
    SELECT g."task_id", g."last_seq" + 1, 'start', g."at", g."attempt", g."fence" + 1, '', 1, me FROM gone AS g
  ), given_out AS (
    SELECT g."pos", g."round", g."kind", g."at", o.*, sum(octet_length(o."input")) OVER (ORDER BY g."round", g."pos") AS "bytes"
    FROM gone AS g JOIN ${t.tasks} AS o ON o."id" = g."task_id"
  )
  SELECT json_build_object('n', count(*), 'pos', max("pos") FILTER (WHERE "round" = 1), 'runs', json_agg(json_build_array(
    "kind", "at", CASE WHEN "bytes" <= ${MAX_INPUTS} OR octet_length("input") = "bytes" THEN "input" END,
    ${TASK_COLUMNS_V1.map((column) => `"${column}"`).join(', ')}) ORDER BY "round", "pos")) INTO v_answer FROM given_out;
  RETURN v_answer;`,
  });
