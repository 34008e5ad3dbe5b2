import { afterAll, describe, expect, it } from '@jest/globals';
import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { scaled } from '../../support/oracle/fault-scale.js';
import { tally } from '../../support/oracle/fault-tally.js';
import { isFixedSeed, SEED } from '../../support/clock/seed.js';
import { Coverage } from './coverage.js';
import { ModelRun } from './model-run.js';
import { type Step, steps } from './steps.js';

const runs = Number(process.env['TASKFLOW_MODEL_RUNS'] ?? scaled(500, 2_000));
/** Runs between two lines that say how far it is. */
const CHUNK = 1_000;
/** On a machine that is busy with much else. Unit: ms. */
const LONGEST_RUN_MS = 500;
/** Steps that once broke a promise. A new counterexample belongs here, shrunk. */
const fixtures = JSON.parse(readFileSync(new URL('./fixtures/steps.json', import.meta.url), 'utf8')) as { why: string; steps: Step[] }[];

const coverage = new Coverage();

async function perform(taken: readonly Step[]): Promise<void> {
  const model = new ModelRun(coverage);
  await model.begin();
  for (const step of taken) await model.take(step);
  await model.end();
}

async function search(numRuns: number, from: number): Promise<void> {
  const found = await fc.check(fc.asyncProperty(steps, perform), { seed: from, numRuns });
  if (!found.failed) return;
  const fixture = JSON.stringify({ why: 'what it broke', steps: found.counterexample?.[0] }, null, 2);
  throw new Error(`Seed ${from}, run ${found.numRuns}. For fixtures/steps.json:\n${fixture}\n`, { cause: found.errorInstance });
}

describe('whatever happens in whatever order, the promises hold', () => {
  let done = 0;
  let startedAt = 0;

  afterAll(() => {
    const perSecond = Math.round((done * 1_000) / (performance.now() - startedAt));
    process.stderr.write(`model: ${done} runs, seed ${SEED}, ${perSecond} runs/s: ${coverage.toString()}\n`);
    tally('model runs', done, SEED);
  });

  for (const { why, steps: taken } of fixtures) it(why, () => perform(taken));

  it(
    `in ${runs} random runs (seed ${SEED})`,
    async () => {
      startedAt = performance.now();
      for (let chunk = 0; done < runs; chunk++) {
        const size = Math.min(CHUNK, runs - done);
        await search(size, SEED + chunk);
        done += size;
        if (runs > 2 * CHUNK) process.stderr.write(`${done} runs, ${Math.round((performance.now() - startedAt) / 1_000)} s\n`);
      }
      if (isFixedSeed && runs >= 500) expect(coverage.missing).toEqual([]);
    },
    60_000 + runs * LONGEST_RUN_MS,
  );
});
