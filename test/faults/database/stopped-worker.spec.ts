import { afterEach, describe, expect, it } from '@jest/globals';
import { type Arm, type DoomedApp, type Firing, isAlive } from '../../support/process/doomed-app.js';
import { House } from '../failpoints/house.js';
import { eventually, PATIENCE_MS } from '../../support/clock/patience.js';

const TIMEOUT_MS = 1_800_000;
/** Few submits: what is looked at here is what becomes of them. */
const SLOWLY = { pauseMs: 150 };

const houses: House[] = [];
afterEach(async () => {
  for (const house of houses.splice(0)) await house.tearDown();
});
async function build(): Promise<House> {
  const house = await House.build({ database: 'sqlite' });
  houses.push(house);
  return house;
}

const stopAt = (point: Arm['point'], hit: number, deaf = false): Arm => ({
  id: `stop at ${point}`,
  point,
  hit,
  victim: 'self',
  signal: 'SIGSTOP',
  deaf,
});

async function until(what: string, holds: () => Promise<boolean> | boolean, withinMs = PATIENCE_MS): Promise<void> {
  for (const end = Date.now() + withinMs; !(await holds()); await new Promise((resolve) => setTimeout(resolve, 20)))
    if (Date.now() > end) throw new Error(`It took too long until ${what}.`);
}

describe('A flush worker that hangs', () => {
  it(
    'P10: is killed and replaced after 30 s of silence, though it holds the database locked; meanwhile the log accepts',
    async () => {
      const house = await build();
      const arm = stopAt('flush.after-rows', 3);
      const app = house.start([arm]);
      app.tell('load', SLOWLY);
      const { pid } = await app.fires(arm);
      const { flush: before } = await app.ask('stats');
      await until('the log has accepted', async () => (await app.ask('stats')).eventLog.durableSeq > before.appliedSeq + 50);
      await until('another worker is there', () => app.workers().at(-1) !== pid);
      expect(await isAlive(pid)).toBe(false);
      const { flush } = await app.ask('stats');
      expect(flush.restarts).toBe(before.restarts + 1);
      expect(await house.close(app)).toBeGreaterThan(50);
    },
    TIMEOUT_MS,
  );
});

/** Its parent is killed while it is stopped, and another process takes the log. */
async function orphan(house: House, arm: Arm): Promise<{ orphan: Firing; app: DoomedApp }> {
  const first = house.start([arm]);
  first.tell('load');
  const firing = await first.fires(arm);
  process.kill(first.pid, 'SIGKILL');
  await first.exited();
  expect(await isAlive(firing.pid)).toBe(true);
  const app = house.start([]);
  await app.isReady();
  return { orphan: firing, app };
}

async function wake({ pid }: Firing): Promise<void> {
  process.kill(pid, 'SIGCONT');
  await until('the orphan has ended by itself', async () => !(await isAlive(pid)));
}

describe('A flush worker that outlives its parent', () => {
  it.each([
    { kind: 'hears that its parent is gone', deaf: false },
    { kind: 'does not hear it, and is fenced', deaf: true },
  ])(
    'P12: writes nothing beside the worker of the next process, and ends: it $kind',
    async ({ deaf }) => {
      const house = await build();
      const { orphan: firing, app } = await orphan(house, stopAt('flush.before-transaction', 4, deaf));
      app.tell('load');
      await house.acks(app);
      const { eventLog } = await app.ask('stats');
      await until('the next worker has written', async () => (await app.ask('stats')).flush.appliedSeq >= eventLog.durableSeq);
      await wake(firing);
      // What it had committed before it was stopped it may still report, to nobody.
      expect(app.passedBy(firing.pid).filter((point) => point !== 'flush.before-report')).toEqual([]);
      expect(await house.close(app)).toBeGreaterThan(20);
    },
    TIMEOUT_MS,
  );

  it(
    'P7: may still commit the batch that it holds the lock for, once; the next process waits, accepts, and goes on behind it',
    async () => {
      const house = await build();
      const { orphan: firing, app } = await orphan(house, stopAt('flush.after-cursor', 4));
      app.tell('load', { ...SLOWLY, databaseGoes: true });
      await house.acks(app);
      // SQLite lets it read how far the database is while the orphan holds that.
      const { flush, eventLog } = await eventually(
        () => app.ask('stats'),
        (stats) => stats.flush.appliedSeq > 0,
      );
      // More than a batch comes due while the orphan holds the database. Locked out, not let in beside it.
      await until('more is in the log', async () => (await app.ask('stats')).eventLog.durableSeq > eventLog.durableSeq + 60);
      expect((await app.ask('stats')).flush.appliedSeq).toBe(flush.appliedSeq);
      await wake(firing);
      expect(await house.close(app)).toBeGreaterThan(20);
    },
    TIMEOUT_MS,
  );
});
