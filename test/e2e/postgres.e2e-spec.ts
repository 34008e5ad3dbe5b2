import { randomBytes } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import {
  ConflictError,
  RepositoryError,
  type Task,
  type TaskContext,
  TaskFailedError,
  type TaskSystem,
  type TaskflowOptionsInput,
} from 'nestjs-taskflow';
import pg from 'pg';
import { ChildApp } from '../support/process/child-app.js';
import { eventually } from '../support/clock/patience.js';
import { TestFolder } from '../support/process/task-system.js';
import { onServer, postgresDatabase, postgresUrl, type TestDatabase } from '../support/database/test-databases.js';

let folder: TestFolder;
let database: TestDatabase;
let client: pg.Client;

async function start(more: TaskflowOptionsInput = {}): Promise<TaskSystem> {
  const system = await folder.system({
    repository: database.options,
    ...more,
    flush: { worker: 'process', flushIntervalMs: 50, ...more['flush'] },
  });
  let runs = 0;
  system.defineTask('steps', {
    handler: async ({ n }: { n: number }, ctx: TaskContext) => {
      for (let step = 1; step <= 3; step++) await ctx.progress({ step, text: "O'Neill \u0000 ✓" });
      return { n };
    },
  });
  system.defineTask('fail', {
    retry: { maxAttempts: 1 },
    handler: async () => {
      if (++runs === 1) throw new Error('the first time');
      return 'healed';
    },
  });
  await system.initialize();
  return system;
}

const caughtUp = (system: TaskSystem) =>
  eventually(
    () => system.getStats(),
    ({ flush, eventLog, tasks }) =>
      tasks.running + tasks.queued === 0 && flush.appliedSeq === eventLog.durableSeq && flush.breaker === 'closed',
  );
const seqsOf = async (events: AsyncIterable<{ seq?: number | undefined }>): Promise<(number | undefined)[]> => {
  const seqs: (number | undefined)[] = [];
  for await (const { seq } of events) seqs.push(seq);
  return seqs;
};
const count = async (table: string): Promise<number> =>
  Number((await client.query(`SELECT COUNT(*) AS n FROM taskflow_${table}`)).rows[0].n);
/** Everybody connected to our database but the test. */
const terminateAll = async (): Promise<number> => {
  const sql =
    'SELECT count(pg_terminate_backend(pid)) AS n FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()';
  return Number((await client.query(sql)).rows[0].n);
};
async function expectRowsOf(tasks: readonly Task[], lastSeq: number): Promise<void> {
  const rows: { id: string; status: string; last_seq: string }[] = (await client.query('SELECT id, status, last_seq FROM taskflow_tasks'))
    .rows;
  expect(new Set(rows.map((row) => row.id))).toEqual(new Set(tasks.map((task) => task.id)));
  expect(rows.filter((row) => row.status !== 'completed' || Number(row.last_seq) !== lastSeq)).toEqual([]);
  expect(await count('events')).toBe(tasks.length * lastSeq);
}

(postgresUrl() === undefined ? describe.skip : describe)('The whole system on PostgreSQL', () => {
  beforeEach(async () => {
    folder = await TestFolder.create();
    database = await postgresDatabase();
    const { username: user, ...rest } = database.options as Record<string, any>;
    client = new pg.Client({ ...rest, user });
    await client.connect();
  });
  afterEach(async () => {
    await folder.dispose();
    await client.end();
    await database.drop();
  });

  it('submits, shows progress, lists, keeps keys, and has everything after a restart, through a worker process', async () => {
    const first = await start();
    expect(first.getStats().flush.workerPid).toEqual(expect.any(Number));
    const params = { input: { n: 1 }, userId: 'alice', idempotencyKey: 'order', tags: ['blue'] };
    const task = await first.submit('steps', params);
    expect(await first.result(task)).toEqual({ n: 1 });
    expect((await first.submit('steps', params)).id).toBe(task.id);
    await expect(first.submit('steps', { ...params, input: { n: 2 } })).rejects.toThrow(ConflictError);
    const waiting = await first.submit('steps', { input: { n: 3 }, delayMs: 3_600_000, userId: 'bob' });
    await caughtUp(first);
    await first.shutdown();

    const second = await start();
    expect(await second.getStatus('order', { userId: 'alice' })).toMatchObject({
      id: task.id,
      status: 'completed',
      result: { n: 1 },
      lastSeq: 6,
    });
    expect((await second.submit('steps', params)).id).toBe(task.id);
    await expect(second.submit('steps', { ...params, input: { n: 2 } })).rejects.toThrow(ConflictError);
    for (let lastSeq = 0; lastSeq <= 6; lastSeq++) {
      expect(await seqsOf(second.subscribe(task, { lastSeq }))).toEqual([1, 2, 3, 4, 5, 6].slice(lastSeq));
    }
    for await (const event of second.subscribe(task))
      if (event.seq === 3) expect(event.payload).toEqual({ step: 1, text: "O'Neill \u0000 ✓" });
    const ids = async (options: object): Promise<string[]> => (await second.list(options)).items.map(({ id }) => id);
    expect(await ids({})).toEqual([waiting.id, task.id]);
    expect(await ids({ tag: 'blue' })).toEqual([task.id]);
    expect(await ids({ userId: 'bob' })).toEqual([waiting.id]);
    expect(await ids({ status: 'completed' })).toEqual([task.id]);
    const page = await second.list({ limit: 1 });
    expect((await second.list({ limit: 1, cursor: page.nextCursor! })).items.map(({ id }) => id)).toEqual([task.id]);
    await eventually(
      () => second.getStats().tasks.delayed,
      (delayed) => delayed === 1,
    );
    expect(await second.cancel(waiting)).toMatchObject({ status: 'cancelled' });
  });

  it('resumes a run after a kill from its last event', async () => {
    const options = folder.options({ repository: database.options, flush: { worker: 'process' }, hooks: undefined });
    const first = await ChildApp.start(options);
    const { id } = await first.ask('submit', { name: 'count', params: { input: { rows: 30, dieAt: 15, pauseMs: 20 } } });
    expect((await first.exited()).signal).toBe('SIGKILL');
    const second = await ChildApp.start(options);
    expect((await second.ask('result', { ref: { taskId: id } }))['result']).toEqual({ rows: 30 });
    const { events } = await second.ask('events', { ref: { taskId: id }, lastSeq: 10 });
    expect(events.map(({ seq }: { seq: number }) => seq)).toEqual(Array.from({ length: 35 - 10 }, (_, at) => at + 11));
    await second.kill();
  });

  it('retries a dead letter of the last process', async () => {
    const first = await start();
    const task = await first.submit('fail', { input: null });
    await expect(first.result(task)).rejects.toThrow(TaskFailedError);
    await caughtUp(first);
    expect((await first.deadLetters.list()).items).toMatchObject([{ id: task.id }]);
    await first.shutdown();
    const second = await start();
    expect((await second.list({ deadLettered: true })).items).toMatchObject([{ id: task.id, status: 'failed' }]);
    await second.deadLetters.retry(task); // each process fails the first time
    await expect(second.result(task)).rejects.toThrow(TaskFailedError);
    await second.deadLetters.retry(task);
    expect(await second.result(task)).toBe('healed');
    expect((await second.deadLetters.list()).items).toEqual([]);
  });

  it('forgets ended tasks after their time: status, events, row and key', async () => {
    const system = await start({ retention: { completedTtlMs: 100, sweepIntervalMs: 50 } });
    const params = { input: { n: 1 }, idempotencyKey: 'again' };
    const task = await system.submit('steps', params);
    await system.result(task);
    const kept = await system.submit('steps', { input: { n: 2 }, delayMs: 3_600_000 });
    await eventually(
      () => system.getStatus(task),
      (state) => state === null,
    );
    await eventually(
      () => count('tasks'),
      (n) => n === 1,
    );
    expect(await count('events')).toBe(1);
    expect(await system.getStatus('again')).toBeNull();
    const heir = await system.submit('steps', params);
    expect(heir.id).not.toBe(task.id);
    expect(await system.result(heir)).toEqual({ n: 1 });
    expect(await system.getStatus(kept)).toMatchObject({ status: 'created' });
  });

  it('P10: loses nothing when the server ends all our connections, again and again', async () => {
    const system = await start({ flush: { flushIntervalMs: 20 } });
    const tasks: Task[] = [];
    const terminated: number[] = [];
    const nobody = { taskId: '01a206f8-0000-7000-8000-000000000000' };
    for (let n = 0; n < 300; n++) {
      tasks.push(await system.submit('steps', { input: { n } }));
      if (n % 50 === 25) {
        terminated.push(await terminateAll());
        // A read that met a dead connection is told so; "unknown" comes from the database only.
        await eventually(
          () => system.getStatus(nobody).catch((error: unknown) => error),
          (state) => {
            expect(state === null || RepositoryError.is(state)).toBe(true);
            return state === null;
          },
        );
        const { durableSeq } = system.getStats().eventLog;
        await eventually(
          () => system.getStats().flush.appliedSeq,
          (appliedSeq) => appliedSeq >= durableSeq,
        );
      }
    }
    expect(terminated).toHaveLength(6);
    expect(Math.min(...terminated)).toBeGreaterThanOrEqual(2); // the worker's and ours
    await Promise.all(tasks.map((task) => system.result(task)));
    await terminateAll();
    tasks.push(await system.submit('steps', { input: { n: 300 }, idempotencyKey: 'after' }));
    await caughtUp(system);
    await expectRowsOf(tasks, 6);
    expect(system.getStats().flush.deadEntries).toBe(0);
  });

  it('logs in with a password that rotates, given by a connector; the flush runs inline then', async () => {
    const role = `rotating_${randomBytes(4).toString('hex')}`;
    const { host, port, database: name } = database.options as Record<string, any>;
    let password = 'token-1';
    let asked = 0;
    await onServer(`CREATE ROLE ${role} LOGIN PASSWORD '${password}'`);
    await client.query(`GRANT ALL ON SCHEMA public TO ${role}; GRANT CREATE ON DATABASE ${name} TO ${role}`);
    const connector = {
      host,
      port,
      username: role,
      database: name,
      ssl: false,
      password: async () => {
        asked++;
        await new Promise((resolve) => setImmediate(resolve));
        return password;
      },
    };
    try {
      const system = await start({ repository: { type: 'lakebase', connector } });
      expect(system.getStats().flush.workerPid).toBeNull();
      const tasks: Task[] = [];
      for (let round = 1; round <= 3; round++) {
        for (let n = 0; n < 20; n++) tasks.push(await system.submit('steps', { input: { n } }));
        await caughtUp(system);
        // The token changes, and the server ends what was logged in with the last one.
        password = `token-${round + 1}`;
        await onServer(`ALTER ROLE ${role} PASSWORD '${password}'`);
        expect(await terminateAll()).toBeGreaterThan(0);
        const before = asked;
        await eventually(
          () => system.list({ limit: 100 }).catch(() => null),
          (page) => page !== null && page.items.length === tasks.length,
        );
        expect(asked).toBeGreaterThan(before);
      }
      await caughtUp(system);
      await expectRowsOf(tasks, 6);
      await system.shutdown();
    } finally {
      await folder.dispose();
      await client.query(`DROP OWNED BY ${role} CASCADE`);
      await onServer(`DROP ROLE ${role}`);
    }
  });
});
