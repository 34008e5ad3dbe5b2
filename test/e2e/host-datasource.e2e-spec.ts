import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { Task, TaskContext, TaskSystem } from 'nestjs-taskflow';
import { DataSource, EntitySchema } from 'typeorm';
import { offer } from './steady-load.js';
import { eventually } from '../support/clock/patience.js';
import { TestFolder } from '../support/process/task-system.js';

interface Order {
  id: number;
  note: string;
}
const ORDERS = new EntitySchema<Order>({ name: 'orders', columns: { id: { type: Number, primary: true }, note: { type: String } } });

let folder: TestFolder;
let host: DataSource;
beforeEach(async () => {
  folder = await TestFolder.create();
  host = await new DataSource({ type: 'sqlite', database: folder.file('app.db'), entities: [ORDERS], synchronize: true }).initialize();
});
afterEach(async () => {
  await host.destroy();
  await folder.dispose();
});

/** What anybody else gets who wants to write now. */
async function writeBeside(): Promise<void> {
  const other = await new DataSource({ type: 'sqlite', database: folder.file('app.db') }).initialize();
  try {
    await other.query('BEGIN IMMEDIATE');
    await other.query('ROLLBACK');
  } finally {
    await other.destroy();
  }
}

/** Where the flush runs makes a difference here: inline, it is in the process of the host's transaction. */
describe.each([
  ['process', 'named by its file'],
  ['inline', 'named by its file'],
  ['process', 'named by the DataSource'],
] as const)("A host's own DataSource on the same SQLite file, flush %s, %s", (worker, naming) => {
  async function start(): Promise<TaskSystem> {
    const system = await folder.system({
      repository:
        naming === 'named by its file' ? { type: 'sqlite', database: folder.file('app.db') } : { type: 'typeorm', dataSource: host },
      flush: { worker, flushIntervalMs: 20 },
    });
    system.defineTask('steps', {
      handler: async ({ n }: { n: number }, ctx: TaskContext) => {
        await ctx.progress({ n });
        return n;
      },
    });
    await system.initialize();
    return system;
  }

  const caughtUp = (system: TaskSystem) =>
    eventually(
      () => system.getStats(),
      ({ flush, eventLog, tasks }) => tasks.running + tasks.queued === 0 && flush.appliedSeq === eventLog.durableSeq,
    );
  async function expectAllThere(system: TaskSystem, tasks: readonly Task[]): Promise<void> {
    await caughtUp(system);
    for (const { id } of tasks) {
      const [row] = await host.query('SELECT status, last_seq FROM taskflow_tasks WHERE id = ?', [id]);
      expect(row).toEqual({ status: 'completed', last_seq: 4 });
    }
  }

  it('takes nothing of ours back with a rollback, nor do we commit what is its own', async () => {
    const system = await start();
    const transaction = host.createQueryRunner();
    await transaction.startTransaction();
    expect(await transaction.manager.count(ORDERS)).toBe(0); // a reader: others may write meanwhile
    const tasks: Task[] = [];
    for (let n = 0; n < 20; n++) tasks.push(await system.submit('steps', { input: { n } }));
    await caughtUp(system);
    await transaction.rollbackTransaction();
    await expectAllThere(system, tasks);

    // Now one that writes: ours wait for it, and neither is part of the other.
    await transaction.startTransaction();
    await transaction.manager.insert(ORDERS, { id: 1, note: 'never' });
    for (let n = 0; n < 20; n++) tasks.push(await system.submit('steps', { input: { n } }));
    for (const task of tasks) expect(await system.result(task)).toEqual(expect.any(Number));
    await transaction.rollbackTransaction();
    await expectAllThere(system, tasks);
    expect(await host.manager.count(ORDERS)).toBe(0);

    await transaction.startTransaction();
    await transaction.manager.insert(ORDERS, { id: 2, note: 'kept' });
    tasks.push(await system.submit('steps', { input: { n: 99 } }));
    await transaction.commitTransaction();
    await transaction.release();
    await expectAllThere(system, tasks);
    expect(await host.manager.find(ORDERS)).toEqual([{ id: 2, note: 'kept' }]);
  });

  // What it costs is measured in test/alone/host-transaction.spec.ts.
  it('holds the write lock, and submits, runs and reads go on: all that comes meanwhile has its result before the commit', async () => {
    const system = await start();
    const before = await offer(system, 'steps', 100, 2);
    await caughtUp(system);
    const transaction = host.createQueryRunner();
    await transaction.startTransaction();
    await transaction.manager.insert(ORDERS, { id: 1, note: 'slow' });
    const { appliedSeq } = system.getStats().flush;
    const during = await offer(system, 'steps', 100, 3);
    expect([...before.refused, ...during.refused]).toEqual([]);
    const results = await Promise.all(during.acked.map((task) => system.result(task)));
    expect(results.toSorted((a, b) => Number(a) - Number(b))).toEqual(Array.from({ length: 300 }, (_, n) => n));
    for (const task of [before.acked[0]!, ...during.acked]) expect(await system.getStatus(task)).toMatchObject({ status: 'completed' });
    // The lock was held all the while: of all this nothing is in the database, and nobody else can write to it now.
    expect(system.getStats().flush.appliedSeq).toBe(appliedSeq);
    await expect(writeBeside()).rejects.toThrow(/SQLITE_BUSY/);
    await transaction.commitTransaction();
    await transaction.release();
    await expectAllThere(system, [...before.acked, ...during.acked]);
    expect(await host.manager.find(ORDERS)).toEqual([{ id: 1, note: 'slow' }]);
  });

  it('reads in one transaction for long, and rows are written beside it', async () => {
    const system = await start();
    const transaction = host.createQueryRunner();
    await transaction.startTransaction();
    await transaction.manager.count(ORDERS);
    const { acked } = await offer(system, 'steps', 100, 1);
    await caughtUp(system);
    expect(await transaction.query('SELECT COUNT(*) AS n FROM orders')).toEqual([{ n: 0 }]);
    await transaction.rollbackTransaction();
    await transaction.release();
    await expectAllThere(system, acked);
  });
});
