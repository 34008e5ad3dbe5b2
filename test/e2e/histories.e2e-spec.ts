import { cp, mkdir, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { RepositoryError, type Task, type TaskSystem, type TaskflowOptionsInput } from 'nestjs-taskflow';
import { eventually } from '../support/clock/patience.js';
import { caughtUp, TestFolder } from '../support/process/task-system.js';
import { readLog, readRows } from '../support/oracle/log-and-rows.js';

const DATABASE = ['db/tasks.db', 'db/tasks.db-wal', 'db/tasks.db-shm'];
const WORKER: TaskflowOptionsInput = { flush: { worker: 'process', flushIntervalMs: 20 } };

let folder: TestFolder;
beforeEach(async () => {
  folder = await TestFolder.create();
});
afterEach(async () => {
  await folder.dispose();
});

async function start(more: TaskflowOptionsInput = WORKER): Promise<TaskSystem> {
  const system = await folder.system({
    repository: { type: 'sqlite', database: folder.file('db/tasks.db') },
    ...more,
    eventLog: { eventLogPath: folder.file('log/events.log'), ...more['eventLog'] },
  });
  system.defineTask('quick', { handler: async (input) => ({ echo: input }) });
  await system.initialize();
  return system;
}

async function runSome(system: TaskSystem, count: number): Promise<Task[]> {
  const tasks: Task[] = [];
  for (let n = 0; n < count; n++) tasks.push(await system.submit('quick', { input: { n } }));
  for (const task of tasks) await system.result(task);
  return tasks;
}

async function runAndStop(count: number, more?: TaskflowOptionsInput): Promise<{ tasks: Task[]; durableSeq: number }> {
  const system = await start(more);
  const tasks = await runSome(system, count);
  await caughtUp(system);
  const { durableSeq } = system.getStats().eventLog;
  await system.shutdown();
  return { tasks, durableSeq };
}

async function save(what: 'log' | 'db'): Promise<void> {
  await cp(folder.file(what), folder.file(`saved-${what}`), { recursive: true });
}
async function restore(what: 'log' | 'db'): Promise<void> {
  await rm(folder.file(what), { recursive: true });
  await cp(folder.file(`saved-${what}`), folder.file(what), { recursive: true });
}
async function deleteDatabase(): Promise<void> {
  for (const name of DATABASE) await rm(folder.file(name), { force: true });
}

const segments = async (): Promise<string[]> =>
  (await readdir(folder.file('log'))).filter((name) => /^events-\d{16}\.log$/.test(name)).sort();

async function refusal(): Promise<RepositoryError> {
  const refused = await start().catch((error: unknown) => error);
  expect(RepositoryError.is(refused)).toBe(true);
  return refused as RepositoryError;
}

async function expectRowsOf(tasks: readonly Task[]): Promise<void> {
  const log = await readLog(folder.file('log'));
  const rows = await readRows(folder.file('db/tasks.db'));
  expect(rows.appliedSeqs).toEqual([log.lastSeq]);
  for (const { id } of tasks) expect(rows.tasks.get(id)).toBeDefined();
  for (const [id, task] of log.tasks) expect(rows.tasks.get(id)).toEqual(task);
}

describe('Log and database of different times', () => {
  it('P7: a log restored from an old copy is refused, naming both positions; with its own log the database goes on', async () => {
    const { durableSeq: old } = await runAndStop(5);
    await save('log');
    const { durableSeq, tasks } = await runAndStop(5);
    await cp(folder.file('log'), folder.file('newest-log'), { recursive: true });
    await restore('log');
    const refused = await refusal();
    expect(refused.code).toBe('HISTORY_MISMATCH');
    expect(refused.message).toContain(`up to entry ${durableSeq} `);
    expect(refused.message).toContain(`entries 1 to ${old}`);
    expect(refused.message).toContain('npx taskflow log repair');
    // Refused again: neither did it let anything in, nor does it hold the lock.
    expect((await refusal()).code).toBe('HISTORY_MISMATCH');

    await rm(folder.file('log'), { recursive: true });
    await cp(folder.file('newest-log'), folder.file('log'), { recursive: true });
    const system = await start();
    for (const task of tasks) expect(await system.getStatus(task)).toMatchObject({ status: 'completed' });
  });

  it('P7: an old log that has grown past the position of the database is refused all the same', async () => {
    await runAndStop(5);
    await save('log');
    const { durableSeq } = await runAndStop(2);
    await cp(folder.file('db'), folder.file('newest-db'), { recursive: true });
    await restore('log');
    await deleteDatabase();
    await runAndStop(9); // another continuation of the same log
    await rm(folder.file('db'), { recursive: true });
    await cp(folder.file('newest-db'), folder.file('db'), { recursive: true });
    const refused = await refusal();
    expect(refused.code).toBe('HISTORY_MISMATCH');
    expect(refused.message).toContain(`up to entry ${durableSeq} `);
  });

  it('P7: a database restored from an older copy catches up from the log', async () => {
    const { tasks: before } = await runAndStop(5);
    await save('db');
    const { tasks: after } = await runAndStop(5);
    await restore('db');
    const system = await start();
    for (const task of [...before, ...after]) expect(await system.getStatus(task)).toMatchObject({ status: 'completed' });
    await caughtUp(system);
    await system.shutdown();
    await expectRowsOf([...before, ...after]);
  });

  it('P7: a database that was deleted is made again from a log that begins at 1', async () => {
    const { tasks } = await runAndStop(10);
    await deleteDatabase();
    const system = await start();
    for (const task of tasks) expect(await system.getStatus(task)).toMatchObject({ status: 'completed' });
    await caughtUp(system);
    await system.shutdown();
    await expectRowsOf(tasks);
  });

  it('P7: a database that was deleted is refused when the log no longer begins at 1', async () => {
    const system = await start({ ...WORKER, eventLog: { maxSizeBytesPerFile: 2048, retentionCount: 0 } });
    await runSome(system, 30);
    await caughtUp(system);
    await eventually(segments, (names) => names[0] !== 'events-0000000000000001.log');
    const { durableSeq } = system.getStats().eventLog;
    await system.shutdown();
    await deleteDatabase();
    const refused = await refusal();
    expect(refused.code).toBe('HISTORY_MISMATCH');
    expect(refused.message).toContain('holds nothing of this log');
    expect(refused.message).toContain(`entries ${Number(/(\d{16})/.exec((await segments())[0]!)![1])} to ${durableSeq}`);
  });

  it('a file that is no database is refused by name, left as it is, and the lock is free', async () => {
    await mkdir(folder.file('db'));
    const text = 'These are my notes, not a database. '.repeat(100);
    await writeFile(folder.file('db/tasks.db'), text);
    for (let attempt = 1; attempt <= 2; attempt++) {
      const refused = await refusal();
      expect(refused.code).toBe('NOT_A_DATABASE');
      expect(refused.message).toContain(folder.file('db/tasks.db'));
    }
    expect(await readFile(folder.file('db/tasks.db'), 'utf8')).toBe(text);
    await rm(folder.file('db/tasks.db'));
    await start();
  });

  it('P10: a database deleted under the running worker loses nothing', async () => {
    const system = await start();
    const before = await runSome(system, 10);
    await caughtUp(system);
    await deleteDatabase();
    const during = await runSome(system, 10);
    for (const task of during) expect(task.id).toBeDefined();
    await system.shutdown();

    const again = await start();
    const all = [...before, ...during, ...(await runSome(again, 1))];
    for (const task of all) expect(await again.getStatus(task)).toMatchObject({ status: 'completed' });
    await caughtUp(again);
    await again.shutdown();
    await expectRowsOf(all);
  });

  it('a database that was replaced under the running system is noticed by the next worker: submits are refused, nobody is told "unknown"', async () => {
    const system = await start();
    const before = await runSome(system, 10);
    await caughtUp(system);
    await deleteDatabase();
    const { workerPid } = system.getStats().flush;
    process.kill(workerPid!, 'SIGKILL');
    const refused = await eventually(
      () =>
        system.submit('quick', { input: 1 }).then(
          () => null,
          (error: unknown) => error,
        ),
      (error) => error !== null,
    );
    expect(refused).toMatchObject({ name: 'RepositoryError', code: 'HISTORY_MISMATCH' });
    for (const task of before) expect(await system.getStatus(task)).toMatchObject({ status: 'completed' });
    await system.shutdown();

    const again = await start();
    for (const task of before) expect(await again.getStatus(task)).toMatchObject({ status: 'completed' });
    await caughtUp(again);
    await expectRowsOf(before);
  });

  it('P8: segments are kept from the moment on at which the database is gone, whatever retentionCount says', async () => {
    const system = await start({ ...WORKER, eventLog: { maxSizeBytesPerFile: 2048, retentionCount: 0 } });
    await runSome(system, 10);
    await caughtUp(system);
    await eventually(segments, (names) => names.length === 1);
    const [oldest] = await segments();
    await deleteDatabase();
    await runSome(system, 60);
    await caughtUp(system); // the worker still has the file, though nobody will find it
    await system.shutdown();
    expect((await segments())[0]).toBe(oldest);
    expect((await segments()).length).toBeGreaterThan(5);
    expect((await refusal()).code).toBe('HISTORY_MISMATCH');
  });
});
