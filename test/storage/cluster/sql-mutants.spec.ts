import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { orphansStatement } from '../../../lib/engines/cluster/storage/membership-reads.js';
import { ClusterHouse, hasPostgres, whereSkipped } from '../../support/database/cluster-house.js';
import { ClusterStage, type Edit } from '../../support/database/cluster-stage.js';
import { ENCOUNTERS, Encounters, RULES, Rules, WATCHED } from '../../support/oracle/cluster-encounters.js';
import { watchLimits } from '../../support/oracle/cluster-invariants.js';

interface Mutant {
  readonly what: string;
  readonly edits: readonly Edit[];
  /** What is found, and the test that must find it, of interleavings.spec.ts. */
  readonly finds: RegExp;
  readonly test: keyof typeof ENCOUNTERS | keyof typeof RULES;
}

const TURN = `SELECT o."at_name", o."at_user" INTO v_at_name, v_at_user FROM "taskflow_turns" AS o WHERE o."shard" = 0 AND o."name" = '' FOR UPDATE;`;
const AFTER_COUNTS = 'v_take := least(v_want, v_all - v_runs';

const MUTANTS: readonly Mutant[] = [
  {
    what: 'moves that compare no fence',
    edits: [
      {
        from: `JOIN "taskflow_runs" AS o ON o."task_id" = s."id"\n      WHERE s."place" = 'r' AND o."fence" = s."fence"`,
        to: `JOIN "taskflow_runs" AS o ON o."task_id" = s."id"\n      WHERE s."place" = 'r'`,
      },
    ],
    finds: /it did/,
    test: 'a request for an old run does not reach a new one',
  },
  {
    what: 'moves that compare no sequence',
    edits: [
      {
        from: `s."place" = 'r' AND o."fence" = s."fence" AND (s."last_seq" IS NULL OR o."last_seq" = s."last_seq")`,
        to: `s."place" = 'r' AND o."fence" = s."fence"`,
      },
    ],
    finds: /23505/,
    test: 'an end that does not know of an entry is decided again',
  },
  {
    what: 'runs counted before the turn is taken',
    edits: [
      { from: TURN, to: TURN.replace(' FOR UPDATE', '') },
      { from: AFTER_COUNTS, to: `PERFORM 1 FROM "taskflow_turns" WHERE "shard" = 0 AND "name" = '' FOR UPDATE;\n    ${AFTER_COUNTS}` },
    ],
    finds: /5 tasks run where 3 may/,
    test: 'two claims never exceed a limit together, and take no task twice',
  },
  {
    what: 'places locked in the order of the call',
    edits: [
      {
        from: `WHERE s."place" = 'q' AND o."fence" = s."fence" AND (s."last_seq" IS NULL OR o."last_seq" = s."last_seq")\n      ORDER BY o."task_id" FOR UPDATE OF o`,
        to: `WHERE s."place" = 'q' AND o."fence" = s."fence" AND (s."last_seq" IS NULL OR o."last_seq" = s."last_seq")\n      ORDER BY s."i" FOR UPDATE OF o`,
      },
    ],
    finds: /deadlock/,
    test: 'two moves of the same tasks wait for each other in one order',
  },
  {
    what: 'a claim that waits for tasks which somebody moves',
    edits: [{ from: `FOR UPDATE OF q SKIP LOCKED\n  ), gone AS`, to: `FOR UPDATE OF q\n  ), gone AS` }],
    finds: /deadlock/,
    test: 'a node that cancels and then claims waits for nobody who waits for it',
  },
  {
    what: 'holders of keys looked up only before the insert',
    edits: [
      {
        from: `    v_state[v_row."i"] := 'e'; v_details[v_row."i"] := v_row."id";\n  END LOOP;\n  SELECT array_agg(CASE WHEN "n" + 1`,
        to: `    NULL;\n  END LOOP;\n  SELECT array_agg(CASE WHEN "n" + 1`,
      },
    ],
    finds: /answered/,
    test: 'a key that a host transaction takes meanwhile is answered with its task',
  },
  {
    what: 'members reaped whatever their beat is now',
    edits: [{ from: ` AND m."beat" = seen_beat`, to: '' }],
    finds: /reaped/,
    test: 'a node that beat since it was looked at lives',
  },
];

(hasPostgres ? describe : describe.skip)(`A server function that is broken is found out${whereSkipped}`, () => {
  let house: ClusterHouse;
  let stage: ClusterStage;
  let encounters: Encounters;
  let rules: Rules;
  beforeAll(async () => {
    house = await ClusterHouse.open();
    stage = new ClusterStage(house);
    const node = await house.node();
    encounters = new Encounters(stage, node);
    rules = new Rules(stage, node);
    await watchLimits(house.sql, WATCHED);
  });
  afterAll(() => house.close());

  for (const { what, edits, finds, test } of MUTANTS)
    it(`${what}: by "${test}"`, async () => {
      await house.sql.query('DELETE FROM test_excess');
      await stage.build(edits);
      const problems =
        test in ENCOUNTERS
          ? (await stage.everyOrder(() => ENCOUNTERS[test as keyof typeof ENCOUNTERS](encounters))).problems
          : await RULES[test as keyof typeof RULES](rules);
      expect(problems.join('\n')).toMatch(finds);
    });

  it('a rescue by age: by "a run of a member is no orphan, however long it is silent"', async () => {
    await stage.build();
    const sound = orphansStatement(house.names);
    const byAge = sound.replace(/NOT EXISTS \(.*?\)/, 'r."last_event_at" < 1000');
    expect(byAge).not.toBe(sound);
    expect(await rules.silentRun(byAge)).toEqual(['it was']);
  });
});
