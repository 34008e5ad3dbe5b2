import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { ClusterHouse, hasPostgres, whereSkipped } from '../../support/database/cluster-house.js';
import { ClusterStage } from '../../support/database/cluster-stage.js';
import { ENCOUNTERS, Encounters, RULES, Rules, WATCHED } from '../../support/oracle/cluster-encounters.js';
import { unfolded, watchLimits } from '../../support/oracle/cluster-invariants.js';

(hasPostgres ? describe : describe.skip)(`Two nodes at the same moment, statement by statement${whereSkipped}`, () => {
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
    await stage.build();
    await watchLimits(house.sql, WATCHED);
  });
  afterAll(() => house.close());

  for (const name of Object.keys(ENCOUNTERS) as (keyof typeof ENCOUNTERS)[])
    it(name, async () => {
      const { problems, orders } = await stage.everyOrder(() => ENCOUNTERS[name](encounters));
      expect(problems).toEqual([]);
      // The gates were there: each act stopped in front of several of its statements.
      expect(orders).toBeGreaterThan(6);
      expect(await unfolded(house.sql, house.reads)).toEqual([]);
    });

  for (const name of Object.keys(RULES) as (keyof typeof RULES)[])
    it(name, async () => {
      expect(await RULES[name](rules)).toEqual([]);
    });
});
