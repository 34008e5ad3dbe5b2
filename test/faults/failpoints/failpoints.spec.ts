import { afterAll, describe, expect, it } from '@jest/globals';
import { FAILPOINTS, type Failpoint } from '../../../lib/primitives/failpoint.js';
import type { Arm } from '../../support/process/doomed-app.js';
import { seededRandom } from '../../support/clock/fake-clock.js';
import { isFull, scaled } from '../../support/oracle/fault-scale.js';
import { tally } from '../../support/oracle/fault-tally.js';
import { SEED } from '../../support/clock/seed.js';
import { postgresUrl } from '../../support/database/test-databases.js';
import { alternating, arm, hitOf, pointsOf, shuffled } from './cases.js';
import { House, type Setting } from './house.js';

/** Kills at each point, and in each place where the same code runs once more. */
const ROUNDS = scaled(1, 2);
const FEW = scaled(1, 6);
const WORKER_ROUNDS = scaled(1, 3);
const LANES = 2;
const TIMEOUT_MS = 1_800_000;

const attacked = new Set<Failpoint>();
let kills = 0;
let tasks = 0;

const times = (points: readonly Failpoint[], victim: Arm['victim'] = 'self', rounds = ROUNDS): Arm[] =>
  shuffled(
    points.flatMap((point) => Array.from({ length: rounds }, (_, round) => arm(point, hitOf(point, round), victim))),
    seededRandom(SEED),
  );

/** One house through all these deaths; what must hold is looked at after each of them. */
async function liveThrough(setting: Setting, work: (house: House) => Promise<void>): Promise<void> {
  const house = await House.build(setting);
  try {
    await work(house);
    tasks += await house.finish();
    kills += house.kills;
  } finally {
    await house.tearDown();
  }
}

async function dieAt(house: House, arms: readonly Arm[]): Promise<void> {
  for (const each of arms) {
    await house.die(each);
    attacked.add(each.point);
  }
}

async function loseWorkersAt(house: House, arms: readonly Arm[]): Promise<void> {
  await house.loseWorkers(arms);
  for (const { point } of arms) attacked.add(point);
}

const SQLITE = { database: 'sqlite' } as const;
const INLINE = { ...SQLITE, flush: { worker: 'inline' } } as const;
/** Without a worker nothing is reported. */
const INLINE_POINTS = pointsOf('flush').filter((point) => point !== 'flush.before-report');

afterAll(() => {
  process.stdout.write(`failpoints: ${attacked.size} points, ${kills} kills, ${tasks} tasks, seed ${SEED}\n`);
  tally('kills', kills, SEED);
});

describe('A process that is killed between two steps', () => {
  // A start that is killed needs something to take up: before it comes a life that ended under load.
  const underLoad = [
    ...times(pointsOf('load', 'rotation', 'release', 'stop')),
    ...times(pointsOf('flush'), 'parent').slice(0, scaled(2, 100)),
  ];
  const atStart = times(pointsOf('start'));
  const lanes = Array.from({ length: LANES }, (_, lane) =>
    alternating(
      underLoad.filter((_each, at) => at % LANES === lane),
      atStart.filter((_each, at) => at % LANES === lane),
    ),
  );

  it.concurrent.each(lanes.map((arms, lane) => ({ arms, lane: lane + 1 })))(
    'loses nothing and runs nothing twice: in appends, rotations, runs, batches of its worker, ends and starts (part $lane)',
    ({ arms }) => liveThrough(SQLITE, (house) => dieAt(house, arms)),
    TIMEOUT_MS,
  );
  it.concurrent(
    'loses nothing while it deletes segments that the database has',
    () => liveThrough({ ...SQLITE, eventLog: { retentionCount: 1 } }, (house) => dieAt(house, times(pointsOf('retention')))),
    TIMEOUT_MS,
  );
  it.concurrent(
    'prunes a task as a whole or not at all',
    () => liveThrough({ ...SQLITE, prunes: true }, (house) => dieAt(house, times(pointsOf('pruning')))),
    TIMEOUT_MS,
  );
  it.concurrent(
    'leaves rows that equal the log when it flushes by itself',
    () => liveThrough(INLINE, (house) => dieAt(house, times(INLINE_POINTS, 'self', scaled(1, 2)))),
    TIMEOUT_MS,
  );
});

describe('A task that the database refuses', () => {
  const poisoned = { ...SQLITE, poisons: true } as const;

  it.concurrent(
    'is set aside, and pruned, as a whole or not at all',
    () => liveThrough({ ...INLINE, ...poisoned, prunes: true }, (house) => dieAt(house, times(pointsOf('quarantine', 'unquarantine')))),
    TIMEOUT_MS,
  );
  (isFull ? it.concurrent : it.skip)(
    'is set aside as a whole or not at all when the worker is killed (at full size only)',
    () => liveThrough(poisoned, (house) => loseWorkersAt(house, times(pointsOf('quarantine'), 'self', WORKER_ROUNDS))),
    TIMEOUT_MS,
  );
});

describe('A flush worker that is killed between two steps', () => {
  it.concurrent(
    'leaves rows that equal the log (SQLite)',
    () => liveThrough(SQLITE, (house) => loseWorkersAt(house, times(pointsOf('flush'), 'self', WORKER_ROUNDS))),
    TIMEOUT_MS,
  );
  it.concurrent(
    'costs nothing, whatever its parent does at that moment',
    () =>
      liveThrough({ ...SQLITE, eventLog: { retentionCount: 1 } }, (house) =>
        loseWorkersAt(house, times(pointsOf('load', 'rotation', 'retention', 'release'), 'worker', 1)),
      ),
    TIMEOUT_MS,
  );
});

(postgresUrl() === undefined ? describe.skip : describe)('On PostgreSQL', () => {
  const POSTGRES = { database: 'postgres' } as const;

  it.concurrent(
    'rows equal the log when the process is killed and its worker is in the middle of a batch',
    () => liveThrough(POSTGRES, (house) => dieAt(house, times(pointsOf('flush'), 'parent').slice(0, FEW))),
    TIMEOUT_MS,
  );
  it.concurrent(
    'rows equal the log when the worker is killed',
    () => liveThrough(POSTGRES, (house) => loseWorkersAt(house, times(pointsOf('flush'), 'self', WORKER_ROUNDS))),
    TIMEOUT_MS,
  );
});

describe('The list of failpoints', () => {
  it('has no point at which nobody is killed', () => {
    expect([...FAILPOINTS].filter((point) => !attacked.has(point))).toEqual([]);
  });
});
