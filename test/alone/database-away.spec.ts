import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { TaskSystemStats } from 'nestjs-taskflow';
import { DataSource } from 'typeorm';
import { DatabaseHolder } from '../support/database/database-holder.js';
import { isAsFast, type OfferedLoad, SteadyApp } from '../support/process/steady-app.js';
import { eventually } from '../support/clock/patience.js';
import { TestFolder } from '../support/process/task-system.js';

const BEFORE_S = Number(process.env['TASKFLOW_TEST_BEFORE_S'] ?? 30);
const HELD_S = Number(process.env['TASKFLOW_TEST_HELD_S'] ?? 30);
const PER_SECOND = Number(process.env['TASKFLOW_TEST_SUBMITS_PER_SECOND'] ?? 1000);
const TIMEOUT_MS = (BEFORE_S + HELD_S * 2 + 90) * 1000;
const UNKNOWN_ID = '01a206f8-0000-7000-8000-000000000000';

let folder: TestFolder;
let holder: DatabaseHolder | undefined;
let app: SteadyApp | undefined;
beforeEach(async () => {
  folder = await TestFolder.create();
});
afterEach(async () => {
  await app?.kill();
  await holder?.release();
  [app, holder] = [undefined, undefined];
  await folder.dispose();
});

async function start(): Promise<SteadyApp> {
  // Little of the log is kept, so that most old tasks are in the database only.
  const eventLog = { maxSizeBytesPerFile: 1024 * 1024, retentionCount: 1 };
  app = await SteadyApp.start({
    ...folder.options({ eventLog, flush: { worker: 'process', flushIntervalMs: 1000 } }),
    hooks: undefined,
  });
  return app;
}

function expectAllTaken(before: OfferedLoad, during: OfferedLoad): void {
  for (const { refused } of [before, during]) expect(refused).toEqual([]);
  expect([before.acked.length, during.acked.length]).toEqual([PER_SECOND * BEFORE_S, PER_SECOND * HELD_S]);
}

const isCaughtUp = ({ tasks, flush, eventLog }: TaskSystemStats): boolean =>
  tasks.queued + tasks.running === 0 && flush.appliedSeq === eventLog.durableSeq && flush.breaker === 'closed';

async function expectAllInRows(system: SteadyApp, acked: readonly string[]): Promise<void> {
  const stats = await eventually(() => system.stats(), isCaughtUp, 90_000);
  expect(stats.status).toBe('running');
  const database = await new DataSource({ type: 'sqlite', database: folder.file('tasks.db') }).initialize();
  const rows: { id: string; status: string; last_seq: number }[] = await database.query('SELECT id, status, last_seq FROM taskflow_tasks');
  const events: { n: number }[] = await database.query('SELECT COUNT(*) AS n FROM taskflow_events');
  await database.destroy();
  expect(rows).toHaveLength(acked.length);
  expect(new Set(rows.map((row) => row.id))).toEqual(new Set(acked));
  expect(rows.filter((row) => row.status !== 'completed' || row.last_seq !== 3)).toEqual([]);
  expect(events[0]!.n).toBe(acked.length * 3);
}

describe('A database that another process holds', () => {
  it(
    'P10: costs submits without a key nothing while nobody can write to it, and has everything afterwards',
    async () => {
      const system = await start();
      const acked: string[] = [];
      const { load: before } = await system.offer(PER_SECOND, BEFORE_S, acked);
      acked.push(...before.acked);
      holder = await DatabaseHolder.hold(folder.file('tasks.db'), 'writes');
      const { load: during, seen } = await system.offer(PER_SECOND, HELD_S, acked);
      acked.push(...during.acked);
      expect(seen.breakerOpened).toBe(true);
      expect(seen.wrong).toEqual([]);
      expect(seen.right).toBeGreaterThan(100);
      await holder.release();
      await expectAllInRows(system, acked);
      expectAllTaken(before, during);
      expect(isAsFast('writes held', before, during)).toBe(true);
    },
    TIMEOUT_MS,
  );

  it(
    'P10: costs them nothing while nobody can read it either; what cannot be read is never called unknown',
    async () => {
      const acked: string[] = [];
      const first = await start();
      const { load: before } = await first.offer(PER_SECOND, BEFORE_S, acked);
      acked.push(...before.acked);
      await eventually(
        () => first.stats(),
        ({ eventLog }) => eventLog.segments <= 3,
      );
      await first.shutdown();
      holder = await DatabaseHolder.hold(folder.file('tasks.db'), 'everything');
      const system = await start();
      expect((await system.stats()).status).toBe('degraded');
      const { load: during, seen } = await system.offer(PER_SECOND, HELD_S, acked);
      acked.push(...during.acked);
      expect(seen.breakerOpened).toBe(true);
      expect(seen.wrong).toEqual([]);
      expect(seen.right).toBeGreaterThan(0);
      expect(seen.unknowable).toBeGreaterThan(0);
      expect(await system.refusalOf('submitKeyed', { key: 'key' })).toBe('RepositoryError');
      expect(await system.refusalOf('status', { id: UNKNOWN_ID })).toBe('RepositoryError');
      await holder.release();
      await expectAllInRows(system, acked);
      expectAllTaken(before, during);
      await system.shutdown();
      expect(isAsFast('everything held', before, during)).toBe(true);
    },
    TIMEOUT_MS,
  );
});
