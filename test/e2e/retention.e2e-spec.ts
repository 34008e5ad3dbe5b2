import { readdirSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { type Task, TaskFailedError, type TaskSystem, type TaskflowOptionsInput } from 'nestjs-taskflow';
import { DataSource } from 'typeorm';
import { DatabaseHolder } from '../support/database/database-holder.js';
import { readLog, readRows } from '../support/oracle/log-and-rows.js';
import { eventually } from '../support/clock/patience.js';
import { caughtUp, TestFolder } from '../support/process/task-system.js';

let folder: TestFolder;
let holder: DatabaseHolder | undefined;
beforeEach(async () => {
  folder = await TestFolder.create();
});
afterEach(async () => {
  await holder?.release();
  holder = undefined;
  await folder.dispose();
});

/** Swept at once, in a process of its own as by default. */
const SOON = { retention: { completedTtlMs: 100, sweepIntervalMs: 50 } };

async function start(more: TaskflowOptionsInput = {}): Promise<TaskSystem> {
  const system = await folder.system({ ...more, flush: { worker: 'process', flushIntervalMs: 20 } });
  system.defineTask('quick', { handler: async (input) => ({ echo: input }) });
  system.defineTask('fail', { retry: { maxAttempts: 1 }, handler: async () => Promise.reject(new Error('no')) });
  await system.initialize();
  return system;
}
const isGone = (system: TaskSystem, task: Task) =>
  eventually(
    () => system.getStatus(task),
    (state) => state === null,
  );
const segments = (): number[] =>
  readdirSync(folder.path)
    .map((name) => /^events-(\d{16})\.log$/.exec(name)?.[1])
    .filter((first) => first !== undefined)
    .map(Number)
    .sort((a, b) => a - b);

async function onRows<T>(work: (database: DataSource) => Promise<T>): Promise<T> {
  const database = await new DataSource({ type: 'sqlite', database: folder.file('tasks.db') }).initialize();
  try {
    return await work(database);
  } finally {
    await database.destroy();
  }
}
const countOf = (table: string, id: string, column: string): Promise<number> =>
  onRows(async (database) => (await database.query(`SELECT COUNT(*) AS n FROM ${table} WHERE ${column} = ?`, [id]))[0].n);

describe('Retention', () => {
  it('takes task, events and row away when the time is over, and the key is free again', async () => {
    const system = await start(SOON);
    const params = { input: { n: 1 }, userId: 'alice', idempotencyKey: 'order' };
    const task = await system.submit('quick', params);
    await system.result(task);
    await isGone(system, task);
    await eventually(
      () => countOf('taskflow_tasks', task.id, 'id'),
      (n) => n === 0,
    );
    expect(await countOf('taskflow_events', task.id, 'task_id')).toBe(0);
    expect(await system.getStatus('order', { userId: 'alice' })).toBeNull();
    await expect(system.sse(task)).rejects.toMatchObject({ name: 'NotFoundError' });
    const heir = await system.submit('quick', { ...params, input: { n: 2 } });
    expect(heir.id).not.toBe(task.id);
    expect(await system.result(heir)).toEqual({ echo: { n: 2 } });
  });

  it('keeps what waits, what failed, and what ended lately', async () => {
    const system = await start(SOON);
    const waiting = await system.submit('quick', { input: 1, delayMs: 3_600_000 });
    const failed = await system.submit('fail', { input: 1 });
    await expect(system.result(failed)).rejects.toThrow(TaskFailedError);
    const done = await system.submit('quick', { input: 1 });
    await isGone(system, done);
    expect(await system.getStatus(waiting)).toMatchObject({ status: 'created' });
    expect(await system.getStatus(failed)).toMatchObject({ status: 'failed' });
    expect((await system.deadLetters.list()).items).toMatchObject([{ id: failed.id }]);
  });

  it('P7: what is pruned stays so after a restart, and rows equal the fold of the log', async () => {
    const first = await start({ ...SOON, eventLog: { retentionCount: 1000 } });
    const tasks: Task[] = [];
    for (let n = 0; n < 50; n++) tasks.push(await first.submit('quick', { input: n, ...(n % 2 === 0 ? {} : { delayMs: 3_600_000 }) }));
    for (const [n, task] of tasks.entries()) if (n % 2 === 0) await isGone(first, task);
    await caughtUp(first);
    await first.shutdown();
    const log = await readLog(folder.path);
    const rows = await readRows(folder.file('tasks.db'));
    expect(rows.tasks.size).toBe(25);
    expect([...rows.tasks.keys()].sort()).toEqual([...log.tasks.keys()].sort());
    for (const [id, task] of log.tasks) expect(rows.tasks.get(id)).toEqual(task);

    const second = await start();
    for (const [n, task] of tasks.entries()) {
      const state = await second.getStatus(task);
      if (n % 2 === 0) expect(state).toBeNull();
      else expect(state).toMatchObject({ id: task.id, status: 'created' });
    }
  });

  it('works off a backlog of thousands, and takes new tasks meanwhile', async () => {
    const first = await start();
    await Promise.all(Array.from({ length: 2000 }, async (_, n) => first.result(await first.submit('quick', { input: n }))));
    await caughtUp(first);
    await first.shutdown();
    const system = await start(SOON);
    const rows = (): Promise<number> => onRows(async (database) => (await database.query('SELECT COUNT(*) AS n FROM taskflow_tasks'))[0].n);
    await eventually(
      async () => {
        const task = await system.submit('quick', { input: 'meanwhile' });
        await system.result(task);
        return rows();
      },
      (n) => n < 500,
    );
    await eventually(rows, (n) => n === 0);
    await caughtUp(system);
    expect(system.getStats().flush.deadEntries).toBe(0);
  });

  it('P8: deletes a segment only when the database has all of it, also while the database takes nothing', async () => {
    const system = await start({ eventLog: { maxSizeBytesPerFile: 2048, retentionCount: 2 } });
    const submitSome = async (count: number): Promise<void> => {
      for (let n = 0; n < count; n++) await system.result(await system.submit('quick', { input: n }));
    };
    const inDatabase = (): Promise<number> =>
      onRows(async (database) => Number((await database.query('SELECT applied_seq FROM taskflow_cursor'))[0].applied_seq));
    await submitSome(30);
    await caughtUp(system);
    await eventually(segments, (firsts) => firsts.length <= 4 && firsts[0]! > 1);
    expect(segments()[0]! - 1).toBeLessThanOrEqual(await inDatabase());

    holder = await DatabaseHolder.hold(folder.file('tasks.db'), 'writes');
    const position = await inDatabase();
    await submitSome(60);
    const held = segments();
    expect(held.length).toBeGreaterThan(6);
    expect(held[0]! - 1).toBeLessThanOrEqual(position);
    await holder.release();
    await caughtUp(system);
    await submitSome(10);
    await eventually(segments, (firsts) => firsts.length <= 4);
    expect(segments()[0]! - 1).toBeLessThanOrEqual(await inDatabase());
  });
});
