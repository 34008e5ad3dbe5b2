import { mkdir, readdir, rm, rename, cp } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { RepositoryError } from '../../../lib/errors/storage.errors.js';
import type { Clock } from '../../../lib/contracts/clock.interface.js';
import { SystemIdSource } from '../../../lib/primitives/id-source.js';
import { SystemClock } from '../../../lib/primitives/system-clock.js';
import { temporaryFolder } from '../../support/disk/event-log-fixture.js';
import { FlushHouse, TaskScript } from './flush-house.js';
import { seededRandom } from '../../support/clock/fake-clock.js';
import { DATABASES, type TestDatabase } from '../../support/database/test-databases.js';
import { MemoryTaskRepository } from '../../support/doubles/memory-task-repository.js';
import { SEED } from '../../support/clock/seed.js';
import { PATIENCE_MS } from '../../support/clock/patience.js';

const ids = new SystemIdSource();
let folder: Awaited<ReturnType<typeof temporaryFolder>>;
let houses: FlushHouse[];

beforeEach(async () => {
  folder = await temporaryFolder();
  houses = [];
});
afterEach(async () => {
  for (const house of houses) await house.stop();
  await folder.remove();
});

/** A machine whose wall clock can be set. */
class SetClock extends SystemClock {
  setBy = 0;
  override now(): number {
    return super.now() + this.setBy;
  }
}

async function open(branches: Record<string, object> = {}, clock: Clock = new SystemClock()): Promise<FlushHouse> {
  const house = new FlushHouse(folder.path, branches, clock);
  houses.push(house);
  return house.start();
}

async function close(house: FlushHouse): Promise<void> {
  await house.stop();
  houses.splice(houses.indexOf(house), 1);
}

const task = (): TaskScript => new TaskScript(ids.uuid());

/** P7: rows and events equal the fold of the log. */
async function expectExactProjection(house: FlushHouse): Promise<number> {
  const { states, entries } = await house.foldedLog();
  const known = [...states.keys()];
  const rows = await house.store.findByIds(known);
  for (const id of known) {
    expect(rows.get(id) ?? null).toEqual(states.get(id) ?? null);
    const stored = await house.store.entriesAfter(id, 0, 10_000);
    expect(stored.map(({ taskSeq, type }) => [taskSeq, type])).toEqual((entries.get(id) ?? []).map(({ taskSeq, type }) => [taskSeq, type]));
  }
  return known.length;
}

/** Random lives, appended with several in flight, so that frames differ in size. */
async function live(house: FlushHouse, random: () => number, count: number): Promise<void> {
  const lives = Array.from({ length: count }, async () => {
    const script = task();
    await house.append(script.created(), ...(random() < 0.5 ? [script.start()] : []));
    if (random() < 0.3) return;
    for (let step = 0; step < random() * 6; step++) await house.append(script.progress({ step }));
    if (random() < 0.7) await house.append(script.complete({ sent: true }));
    if (random() < 0.2) await house.append(script.pruned());
  });
  await Promise.all(lives);
}

describe.each(DATABASES)('FlushService, inline, on a real log and $name', ({ available, create }) => {
  const proof = available ? it : it.skip;
  let database: TestDatabase;
  beforeEach(async () => {
    if (available) database = await create();
  });
  afterEach(async () => {
    for (const house of houses.splice(0)) await house.stop();
    if (available) await database.drop();
  });

  proof('P7: brings rows to equal the fold of the log, prunes included', async () => {
    process.stdout.write(`seed ${SEED}\n`);
    const house = await open({ repository: database.options, flush: { maxBatchSize: 7 } });
    await live(house, seededRandom(SEED), 60);
    expect(await house.flush.drain(PATIENCE_MS)).toBe(true);
    expect(await expectExactProjection(house)).toBe(60);
    const last = house.reported.at(-1);
    expect(last).toEqual(await house.store.cursor(house.opened.logId));
    expect([last?.appliedSeq, house.flush.stats().appliedSeq]).toEqual([house.log.durableSeq, house.log.durableSeq]);
    expect(house.telemetry.counts.get('taskflow.flush.entries')).toBe(house.log.durableSeq);
    expect(house.telemetry.gauges.get('taskflow.flush.lag_ms')?.()).toBe(0);
  });

  proof('goes on after a restart exactly where the database is', async () => {
    const random = seededRandom(7);
    const first = await open({ repository: database.options });
    await live(first, random, 20);
    await first.flush.drain(PATIENCE_MS);
    await live(first, random, 20); // not drained: the rest is for the next one
    await close(first);
    const second = await open({ repository: database.options });
    await live(second, random, 20);
    expect(await second.flush.drain(PATIENCE_MS)).toBe(true);
    expect(await expectExactProjection(second)).toBe(60);
    expect(second.opened.gen).toBeGreaterThan(first.opened.gen);
  });
});

describe('FlushService', () => {
  it.each([
    { how: 'back', setBy: -3_600_000 },
    { how: 'forward', setBy: 3_600_000 },
  ])('tells the age of what the database lacks, whether or not the wall clock is set $how', async ({ setBy }) => {
    const clock = new SetClock();
    const begun = performance.now();
    const house = await open({ flush: { flushIntervalMs: 3_600_000 } }, clock);
    await house.append(task().created());
    const before = house.flush.stats().lagMs;
    clock.setBy = setBy;
    const after = house.flush.stats().lagMs;
    expect(after).toBeGreaterThanOrEqual(before);
    expect(after).toBeLessThanOrEqual(performance.now() - begun);
    await house.append(task().created());
    expect(house.flush.stats().lagMs).toBeGreaterThanOrEqual(after);
    expect(house.flush.stats().lagMs).toBeLessThanOrEqual(performance.now() - begun);
    expect(await house.flush.drain(PATIENCE_MS)).toBe(true);
    expect(house.flush.stats().lagMs).toBe(0);
  });

  it('takes what an earlier process left for new where the wall clock was set back since, and never for what is to come', async () => {
    const clock = new SetClock();
    const unflushed = { flush: { flushIntervalMs: 3_600_000 } };
    const first = await open(unflushed, clock);
    await first.append(task().created());
    await close(first);
    expect(first.flush.stats().appliedSeq).toBeLessThan(first.log.durableSeq);
    clock.setBy = -3_600_000;
    const begun = performance.now();
    const second = await open(unflushed, clock);
    const lagMs = second.flush.stats().lagMs;
    expect(lagMs).toBeGreaterThanOrEqual(0);
    expect(lagMs).toBeLessThanOrEqual(performance.now() - begun);
  });

  it('P8: deletes old segments only when the database confirms that it holds them', async () => {
    const house = await open({ eventLog: { maxSizeBytesPerFile: 4096, retentionCount: 1 }, flush: { maxBatchSize: 20 } });
    const segments = async (): Promise<number> =>
      (await readdir(join(folder.path, 'log'))).filter((name) => /-\d{16}\.log$/.test(name)).length;
    let asked = 0;
    const confirm = house.store.confirmedCursor.bind(house.store);
    house.store.confirmedCursor = async (logId) => {
      asked++;
      const cursor = await confirm(logId);
      return cursor === null ? null : { ...cursor, appliedSeq: 1 };
    };
    await live(house, seededRandom(3), 60);
    await house.flush.drain(PATIENCE_MS);
    expect(asked).toBeGreaterThan(0);
    const before = await segments();
    expect(before).toBeGreaterThan(5);
    house.store.confirmedCursor = confirm;
    await live(house, seededRandom(4), 60);
    await house.flush.drain(PATIENCE_MS);
    await house.flush.stop();
    expect(await segments()).toBeLessThanOrEqual(4);
    const { appliedSeq } = house.flush.stats();
    expect(appliedSeq).toBe(house.log.durableSeq);
  });

  it('sets a poisonous task aside, says so, and goes on with the others', async () => {
    const house = await open();
    const [sound, poisonous] = [task(), task()];
    await house.append(sound.created(), poisonous.created());
    poisonous.progress('never appended: what follows has a hole before it');
    await house.append(poisonous.progress('a'), poisonous.complete('b'), sound.start(), sound.complete('c'));
    expect(await house.flush.drain(PATIENCE_MS)).toBe(true);
    expect((await house.store.findByIds([sound.id])).get(sound.id)?.status).toBe('completed');
    expect(house.flush.halted).toBeUndefined();
    expect(await house.store.deadEntryCount(house.opened.logId)).toBeGreaterThanOrEqual(2);
    expect(house.flush.stats().deadEntries).toBe(await house.store.deadEntryCount(house.opened.logId));
    expect(house.lines.filter((line) => line.includes('taskflow_dead_entries'))).toHaveLength(1);
    expect(house.lines.join()).not.toContain('never appended');
  });

  it('starts and accepts without a database, and catches up when it comes', async () => {
    const blocked = join(folder.path, 'db');
    // A folder where the file should be: SQLite cannot open it.
    await mkdir(join(blocked, 'tasks.db'), { recursive: true });
    const house = new FlushHouse(folder.path, { repository: { type: 'sqlite', database: join(blocked, 'tasks.db') } });
    houses.push(house);
    await house.openLog();
    house.flush.start(house.opened, undefined);
    const script = task();
    await house.append(script.created());
    expect(await house.flush.drain(300)).toBe(false);
    expect(house.reported).toEqual([]);
    await rm(join(blocked, 'tasks.db'), { recursive: true });
    expect(await house.flush.drain(PATIENCE_MS)).toBe(true);
    await house.store.open();
    expect(await expectExactProjection(house)).toBe(1);
  });

  it('refuses to start on a log that the database does not know the end of, and names both', async () => {
    const house = await open();
    const script = task();
    await house.append(script.created());
    await house.flush.drain(PATIENCE_MS);
    await close(house);
    await cp(join(folder.path, 'log'), join(folder.path, 'backup'), { recursive: true });
    const later = await open();
    await later.append(script.start());
    await later.append(script.complete(1));
    await later.flush.drain(PATIENCE_MS);
    await close(later);
    await rm(join(folder.path, 'log'), { recursive: true });
    await rename(join(folder.path, 'backup'), join(folder.path, 'log'));
    const restored = new FlushHouse(folder.path, {});
    houses.push(restored);
    const refusal = await restored.start().catch((error: unknown) => error);
    expect(RepositoryError.is(refusal) && refusal.code).toBe('HISTORY_MISMATCH');
    expect((refusal as Error).message).toContain('npx taskflow log repair');
  });

  it('halts, and says why, when the other history is found only while it runs', async () => {
    const house = await open();
    await house.append(task().created());
    await house.flush.drain(PATIENCE_MS);
    await close(house);
    const store = house.options.repository;
    await rm(join(folder.path, 'log'), { recursive: true });
    const other = new FlushHouse(folder.path, { repository: store });
    houses.push(other);
    await other.openLog();
    // A cursor of this log that it never wrote.
    await other.append(task().created());
    const cursor = { logId: other.opened.logId, gen: 1, appliedSeq: 99, appliedCrc: 'deadbeef', ownerGen: 1 };
    await plantCursor(join(folder.path, 'tasks.db'), cursor);
    const halted = new Promise<Error>((resolve) => other.flush.onHalted(resolve));
    other.flush.start(other.opened, undefined);
    expect(RepositoryError.is(await halted)).toBe(true);
    expect(other.flush.halted?.message).toContain('up to entry 99');
    expect(await other.flush.drain(1000)).toBe(false);
  });

  it('brings a custom repository to the same state, its cursor beside the log', async () => {
    const repository = new MemoryTaskRepository();
    const house = await open({ repository: { type: 'custom', repository } });
    const script = task();
    await house.append(script.created(), script.start());
    await house.append(script.complete({ sent: true }));
    expect(await house.flush.drain(PATIENCE_MS)).toBe(true);
    expect([...repository.tasks.values()].map(({ status }) => status)).toEqual(['completed']);
    expect(await readdir(join(folder.path, 'log'))).toContain('flush-cursor.json');
  });
});

async function plantCursor(
  file: string,
  cursor: { logId: string; gen: number; appliedSeq: number; appliedCrc: string; ownerGen: number },
): Promise<void> {
  const { default: sqlite3 } = await import('sqlite3');
  await new Promise<void>((resolve, reject) => {
    const database = new sqlite3.Database(file);
    const values = [cursor.logId, cursor.gen, cursor.appliedSeq, cursor.appliedCrc, cursor.ownerGen];
    database.run(
      'INSERT INTO taskflow_cursor (log_id, gen, applied_seq, applied_crc, owner_gen) VALUES (?, ?, ?, ?, ?)',
      values,
      (error) => {
        database.close(() => (error === null ? resolve() : reject(error)));
      },
    );
  });
}
