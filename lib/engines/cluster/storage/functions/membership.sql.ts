import type { ClusterNames } from '../cluster-names.js';
import { CLOCK_MS, functionText, opening } from './function-text.js';

/** The last beat that was seen of a member goes with its runs: whoever rescues them looks at how long they lived. */
const takeOut = (t: ClusterNames, condition: string): string => `  WITH gone AS (
    DELETE FROM ${t.members} AS m WHERE m."id" = who${condition} RETURNING m."id", m."beat_at"
  ), left_behind AS (
    UPDATE ${t.runs} AS r SET "heartbeat_at" = g."beat_at" FROM gone AS g WHERE r."owner" = g."id"
  )
  SELECT count(*) = 1 INTO v_gone FROM gone;`;

export const membershipFunctions = (t: ClusterNames): readonly string[] => [
  functionText({
    name: t.fn.register,
    parameters: 'me text, version text, handlers text, config_hash text',
    returns: 'json',
    declare: `  v_now bigint := ${CLOCK_MS};`,
    body: `${opening(`'5000'`)}
  INSERT INTO ${t.members} ("id", "beat", "beat_at", "version", "handlers", "config_hash", "draining")
  VALUES (me, 1, v_now, version, handlers, config_hash, false) ON CONFLICT DO NOTHING;
  RETURN json_build_object('now', v_now);`,
  }),
  functionText({
    name: t.fn.beat,
    parameters: 'me text, is_draining boolean',
    returns: 'json',
    declare: `  v_now bigint := ${CLOCK_MS};
  v_beat bigint;`,
    body: `${opening(`'5000'`)}
  UPDATE ${t.members} SET "beat" = "beat" + 1, "beat_at" = v_now, "draining" = is_draining WHERE "id" = me RETURNING "beat" INTO v_beat;
  RETURN json_build_object('now', v_now, 'beat', v_beat);`,
  }),
  functionText({
    name: t.fn.leave,
    parameters: 'who text',
    returns: 'boolean',
    declare: '  v_gone boolean;',
    body: `${opening(`'5000'`)}
${takeOut(t, '')}
  RETURN v_gone;`,
  }),
  functionText({
    name: t.fn.reap,
    parameters: 'who text, seen_beat bigint',
    returns: 'boolean',
    declare: '  v_gone boolean;',
    body: `${opening(`'5000'`)}
  -- One wins. A node that beats meanwhile has another number, and lives.
${takeOut(t, ' AND m."beat" = seen_beat')}
  RETURN v_gone;`,
  }),
  functionText({
    name: t.fn.hold,
    parameters: 'duty text, me text, for_ms bigint',
    returns: 'boolean',
    declare: `  v_now bigint := ${CLOCK_MS};
  v_holder text;`,
    body: `${opening(`'1000'`)}
  INSERT INTO ${t.holds} AS h ("what", "holder", "until") VALUES (duty, me, v_now + for_ms)
  -- A hold that reaches further than anybody asks for is of a clock that was set back since.
  ON CONFLICT ("what") DO UPDATE SET "holder" = excluded."holder", "until" = excluded."until"
    WHERE h."holder" = excluded."holder" OR h."until" < v_now OR h."until" > v_now + 86400000
  RETURNING h."holder" INTO v_holder;
  RETURN v_holder IS NOT NULL;`,
  }),
  functionText({
    name: t.fn.sweep,
    parameters: 'size_ms bigint, most int',
    returns: 'bigint',
    declare: `  v_now bigint := ${CLOCK_MS};
  v_swept bigint;`,
    body: `${opening(`'1000'`)}
  -- Whoever submits for one of these users meanwhile holds its row, and is passed over.
  WITH old AS (
    SELECT w."scope" FROM ${t.windows} AS w WHERE w."scope" <> '*' AND w."at" <= v_now - size_ms ORDER BY w."scope" LIMIT most FOR UPDATE SKIP LOCKED
  ), gone AS (
    DELETE FROM ${t.windows} AS w USING old AS o WHERE w."scope" = o."scope" RETURNING w."scope"
  ), admitted AS (
    DELETE FROM ${t.admissions} AS a USING gone AS g WHERE a."scope" = g."scope"
  )
  SELECT count(*) INTO v_swept FROM gone;
  RETURN v_swept;`,
  }),
  functionText({
    name: t.fn.trim,
    parameters: 'who text, seen_fence int, seen_seq bigint, most int',
    returns: 'bigint',
    declare: '  v_gone bigint;',
    body: `${opening(`'1000'`)}
  -- Held, so that it stays ended: its first events go, a few at a time, before it goes itself.
  PERFORM 1 FROM ${t.tasks} WHERE "id" = who AND "fence" = seen_fence AND "last_seq" = seen_seq AND "completed_at" IS NOT NULL FOR UPDATE;
  IF NOT FOUND THEN RETURN 0; END IF;
  WITH first AS (SELECT "seq" FROM ${t.events} WHERE "task_id" = who ORDER BY "seq" LIMIT most),
  gone AS (DELETE FROM ${t.events} AS e USING first AS f WHERE e."task_id" = who AND e."seq" = f."seq" RETURNING 1)
  SELECT count(*) INTO v_gone FROM gone;
  RETURN v_gone;`,
  }),
];
