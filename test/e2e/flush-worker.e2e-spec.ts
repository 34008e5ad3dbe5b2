import { type ChildProcess, fork, spawnSync } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { createTaskSystem, type TaskSystem } from 'nestjs-taskflow';
import { seededRandom } from '../support/clock/fake-clock.js';
import { SEED } from '../support/clock/seed.js';
import { readLog, readRows } from '../support/oracle/log-and-rows.js';
import { PATIENCE_MS } from '../support/clock/patience.js';

const KILLS = 6;
let folder: string;
let systems: TaskSystem[];
let parents: ChildProcess[];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'taskflow-flush-'));
  systems = [];
  parents = [];
});
afterEach(async () => {
  for (const parent of parents) parent.kill('SIGKILL');
  for (const system of systems) await system.shutdown({ force: true });
  await rm(folder, { recursive: true, force: true });
});

async function open(): Promise<TaskSystem> {
  const unlimited = { maxTasksPerWindow: 1_000_000, maxTasksPerUserWindow: 1_000_000, maxQueuedSize: 1_000_000 };
  const system = await createTaskSystem({
    repository: { type: 'sqlite', database: join(folder, 'tasks.db') },
    eventLog: { eventLogPath: join(folder, 'log', 'events.log'), retentionCount: 1000, minFreeBytes: 0, maxSizeBytesPerFile: 100_000 },
    flush: { flushIntervalMs: 20, maxBatchSize: 50 },
    guard: { backpressure: unlimited },
    hooks: { logger: { log: () => undefined } },
  });
  systems.push(system);
  system.defineTask<{ n: number }>('count', {
    handler: async ({ n }, ctx) => {
      await ctx.progress({ half: n / 2 });
      return { n };
    },
  });
  await system.initialize();
  return system;
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** Other processes do things in their own time: looks until it is so. */
async function until<T>(what: string, look: () => T | undefined | false | null, withinMs = PATIENCE_MS): Promise<T> {
  for (const end = Date.now() + withinMs; Date.now() < end; await pause(5)) {
    const found = look();
    if (found !== undefined && found !== false && found !== null) return found;
  }
  throw new Error(`It took too long until ${what}.`);
}

/** A process that nobody has waited for yet is dead all the same. */
async function isAlive(pid: number): Promise<boolean> {
  try {
    return !/^\d+ \(.*\) [ZX]/.test(await readFile(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    return false;
  }
}

async function expectRowsEqualLog(): Promise<number> {
  const log = await readLog(join(folder, 'log'));
  const rows = await readRows(join(folder, 'tasks.db'));
  expect(rows.appliedSeqs).toEqual([log.lastSeq]);
  expect(rows.tasks.size).toBe(log.tasks.size);
  for (const [id, task] of log.tasks) expect(rows.tasks.get(id)).toEqual(task);
  return log.tasks.size;
}

describe('The flush worker', () => {
  it('does not load what NODE_OPTIONS preloads in the application: it would die of it again and again', async () => {
    const preload = join(folder, 'exporter.cjs');
    await writeFile(preload, `throw new Error('This port is taken.');`);
    const { NODE_OPTIONS: before } = process.env;
    process.env['NODE_OPTIONS'] = `--require ${preload}`;
    try {
      const { status, stderr } = spawnSync(process.execPath, ['-e', '0'], { env: process.env, encoding: 'utf8' });
      expect([status, stderr]).toEqual([1, expect.stringContaining('This port is taken.')]); // any other process does
      const system = await open();
      for (let n = 0; n < 5; n++) await system.result(await system.submit('count', { input: { n } }));
      await until('all was flushed', () => system.getStats().flush.appliedSeq === system.getStats().eventLog.durableSeq);
      expect(system.getStats()).toMatchObject({ status: 'running', flush: { restarts: 0, workerPid: expect.any(Number) } });
    } finally {
      if (before === undefined) delete process.env['NODE_OPTIONS'];
      else process.env['NODE_OPTIONS'] = before;
    }
  });

  it('P7: leaves rows that equal the fold of the log, however often it is killed', async () => {
    process.stdout.write(`seed ${SEED}\n`);
    const random = seededRandom(SEED);
    const system = await open();
    const stats = () => system.getStats().flush;
    let kills = 0;
    let killsAfterWork = 0;
    const killer = async (): Promise<void> => {
      for (let last: number | null = null; kills < KILLS;) {
        const before = stats().appliedSeq;
        const pid: number = await until('there is another worker', () => stats().workerPid !== last && stats().workerPid);
        // Every other one while it writes, the rest at any moment, most of them while they start.
        if (kills % 2 === 0) await until('the worker writes', () => stats().appliedSeq > before);
        await pause(random() * (kills % 2 === 0 ? 100 : 1000));
        if (stats().workerPid !== pid) continue;
        process.kill(pid, 'SIGKILL');
        last = pid;
        kills++;
        if (stats().appliedSeq > before) killsAfterWork++;
      }
    };
    const submitter = async (): Promise<void> => {
      for (let n = 0; kills < KILLS; n++) await system.result(await system.submit('count', { input: { n } }));
    };
    await Promise.all([killer(), submitter(), submitter(), submitter()]);
    await until('the database has everything', () => stats().lagMs === 0 && stats().restarts === KILLS);
    await system.shutdown();
    expect(kills).toBe(KILLS);
    expect(killsAfterWork).toBeGreaterThanOrEqual(KILLS / 2);
    expect(await expectRowsEqualLog()).toBeGreaterThan(20);
  });

  it('is not ended by Ctrl-C or a termination signal of its own, only by its parent', async () => {
    const system = await open();
    const pid = system.getStats().flush.workerPid!;
    const task = await system.submit('count', { input: { n: 1 } });
    await system.result(task);
    await until('the worker works', () => system.getStats().flush.appliedSeq > 0);
    process.kill(pid, 'SIGINT');
    process.kill(pid, 'SIGTERM');
    await system.result(await system.submit('count', { input: { n: 2 } }));
    await until('the database has everything', () => system.getStats().flush.lagMs === 0);
    expect(system.getStats().flush).toMatchObject({ workerPid: pid, restarts: 0 });
    await system.shutdown();
    expect(await isAlive(pid)).toBe(false);
    expect(await expectRowsEqualLog()).toBe(2);
  });

  it.each([0, 400])('dies with a parent that was killed %i ms after its start, and the next start loses nothing', async (delayMs) => {
    const parent = fork(fileURLToPath(new URL('./flush-parent.mjs', import.meta.url)), [folder], {
      execArgv: [],
      stdio: 'inherit',
    });
    parents.push(parent);
    let workerPid: number | undefined;
    const acknowledged: string[] = [];
    parent.on('message', (message: { workerPid?: number; acknowledged?: string }) => {
      workerPid ??= message.workerPid;
      if (message.acknowledged !== undefined) acknowledged.push(message.acknowledged);
    });
    const pid = await until('the parent has a worker', () => workerPid);
    expect(await isAlive(pid)).toBe(true);
    await until('a task was acknowledged', () => acknowledged.length > 0);
    await pause(delayMs);
    parent.kill('SIGKILL');
    await until('the parent is dead', () => parent.signalCode === 'SIGKILL');
    let isDead = false;
    for (const end = Date.now() + PATIENCE_MS; !isDead && Date.now() < end; await pause(5)) isDead = !(await isAlive(pid));
    expect(isDead).toBe(true);

    const system = await open();
    await until('all tasks are done', () => system.getStats().tasks.queued + system.getStats().tasks.running === 0);
    await until('the database has everything', () => system.getStats().flush.lagMs === 0);
    await system.shutdown();
    await expectRowsEqualLog();
    const rows = await readRows(join(folder, 'tasks.db'));
    for (const id of acknowledged) expect(rows.tasks.get(id)?.status).toBe('completed');
  });
});
