import { execFile } from 'node:child_process';
import { open, rename, rm } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { RepositoryError, type Task, type TaskSystem } from 'nestjs-taskflow';
import sqlite3 from 'sqlite3';
import { seededRandom } from '../../support/clock/fake-clock.js';
import { scaled } from '../../support/oracle/fault-scale.js';
import { readLog, readRows } from '../../support/oracle/log-and-rows.js';
import { SEED } from '../../support/clock/seed.js';
import { eventually } from '../../support/clock/patience.js';
import { caughtUp, silent, TestFolder } from '../../support/process/task-system.js';

const CLI = fileURLToPath(new URL('../../../dist/cli/taskflow.js', import.meta.url));
const PAGE_BYTES = 4096;
const TASKS = 60;
const TIMEOUT_MS = 1_800_000;

let folder: TestFolder;
let warnings: string[];
beforeEach(async () => {
  folder = await TestFolder.create();
  warnings = [];
});
afterEach(() => folder.dispose());

async function start(): Promise<TaskSystem> {
  const warn = (text: string): void => void warnings.push(text);
  const system = await folder.system({
    repository: { type: 'sqlite', database: folder.file('db/tasks.db') },
    eventLog: { eventLogPath: folder.file('log/events.log'), retentionCount: 1000 },
    flush: { worker: 'process', flushIntervalMs: 20, circuitBreakerThreshold: 2, circuitBreakerDurationMs: 500 },
    hooks: { logger: { ...silent, warn } },
  });
  system.defineTask('echo', { handler: async (input) => ({ echo: input }) });
  await system.initialize();
  return system;
}

async function run(system: TaskSystem, count: number): Promise<Task[]> {
  const tasks = await Promise.all(Array.from({ length: count }, (_, n) => system.submit('echo', { input: { n, text: 'x'.repeat(300) } })));
  await Promise.all(tasks.map((task) => system.result(task)));
  return tasks;
}

/** Noise in every page but the first, which says what the file is. @returns how many. */
async function damage(round: number): Promise<number> {
  const random = seededRandom(SEED + round);
  const file = await open(folder.file('db/tasks.db'), 'r+');
  try {
    const { size } = await file.stat();
    const noise = Buffer.alloc(Math.max(0, size - PAGE_BYTES), 0).map(() => Math.floor(random() * 256));
    await file.write(noise, 0, noise.length, PAGE_BYTES);
    return noise.length / PAGE_BYTES;
  } finally {
    await file.close();
  }
}

async function isSound(): Promise<boolean> {
  const database = new sqlite3.Database(folder.file('db/tasks.db'));
  try {
    return await new Promise((resolve) =>
      database.get('PRAGMA integrity_check', (error: Error | null, row: Record<string, unknown> | undefined) =>
        resolve(error === null && row?.['integrity_check'] === 'ok'),
      ),
    );
  } finally {
    await new Promise<void>((resolve) => database.close(() => resolve()));
  }
}

/** Nobody is told that a task is unknown because it could not be read. */
async function expectKnownOrUnreadable(system: TaskSystem, tasks: readonly Task[]): Promise<void> {
  for (const task of tasks) {
    const state = await system.getStatus(task).catch((error: unknown) => error);
    if (!RepositoryError.is(state)) expect(state).toMatchObject({ id: task.id, status: 'completed' });
  }
}

/** The damaged file is moved away, and what the log retains applied to a fresh one. */
async function rebuild(): Promise<void> {
  await rename(folder.file('db/tasks.db'), folder.file('db/damaged.db'));
  for (const name of ['db/tasks.db-wal', 'db/tasks.db-shm']) await rm(folder.file(name), { force: true });
  const args = ['log', 'repair', folder.file('log/events.log'), '--rebuild', '--database', folder.file('db/tasks.db'), '--yes'];
  await new Promise<void>((resolve, reject) =>
    execFile(process.execPath, [CLI, ...args], (error, out, err) => (error === null ? resolve() : reject(new Error(`${out}${err}`)))),
  );
}

async function expectAllThere(tasks: readonly Task[]): Promise<void> {
  const log = await readLog(folder.file('log'));
  const rows = await readRows(folder.file('db/tasks.db'));
  for (const { id } of tasks) expect(rows.tasks.get(id)).toMatchObject({ status: 'completed' });
  expect(rows.tasks).toEqual(log.tasks);
  expect(rows.appliedSeqs).toEqual([log.lastSeq]);
  const system = await start();
  expect(system.getStats().status).toBe('running');
  for (const task of tasks) expect(await system.getStatus(task)).toMatchObject({ status: 'completed' });
  await system.shutdown();
}

describe('A database file full of noise', () => {
  it(
    'P10: found at the start: the log accepts, the error names the file and the repair, and a rebuilt database has every task',
    async () => {
      const first = await start();
      const tasks = await run(first, TASKS);
      await caughtUp(first);
      await first.shutdown();
      expect(await damage(0)).toBeGreaterThan(10);
      expect(await isSound()).toBe(false);

      const second = await start();
      expect(second.getStats().status).toBe('degraded');
      tasks.push(...(await run(second, 20)));
      await expectKnownOrUnreadable(second, tasks);
      const refused = await second.submit('echo', { input: 1, idempotencyKey: 'key' }).catch((error: unknown) => error);
      expect(refused).toMatchObject({ name: 'RepositoryError', code: 'UNAVAILABLE' });
      await eventually(
        () => second.getStats().flush.breaker,
        (breaker) => breaker === 'open',
      );
      for (const said of [(refused as Error).message, warnings.join()]) {
        expect(said).toContain(folder.file('db/tasks.db'));
        expect(said).toContain('damaged');
        expect(said).toContain('npx taskflow log repair');
      }
      await second.shutdown();

      await rebuild();
      await expectAllThere(tasks);
    },
    TIMEOUT_MS,
  );

  it.each(Array.from({ length: scaled(1, 5) }, (_, round) => round + 1))(
    'P10: under the running system: every submit is acknowledged, and a rebuilt database has every task (round %i)',
    async (round) => {
      process.stdout.write(`seed ${SEED}\n`);
      const first = await start();
      const tasks = await run(first, TASKS);
      await caughtUp(first);
      await first.shutdown();
      const system = await start();
      tasks.push(...(await run(system, 10)));
      await caughtUp(system);
      expect(await damage(round)).toBeGreaterThan(10);
      for (let n = 0; n < 5; n++) {
        tasks.push(...(await run(system, 10)));
        await expectKnownOrUnreadable(system, tasks);
      }
      // The next worker reads what this one only remembers.
      const { workerPid } = system.getStats().flush;
      process.kill(workerPid!, 'SIGKILL');
      tasks.push(...(await run(system, 10)));
      await expectKnownOrUnreadable(system, tasks);
      await system.shutdown();
      expect(await isSound()).toBe(false);

      await rebuild();
      await expectAllThere(tasks);
    },
    TIMEOUT_MS,
  );
});
