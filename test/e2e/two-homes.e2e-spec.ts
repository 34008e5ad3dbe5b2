import { readdirSync, readFileSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { ConflictError, RepositoryError, type TaskContext, type TaskEvent, type TaskSystem } from 'nestjs-taskflow';
import pg from 'pg';
import { ChildApp } from '../support/process/child-app.js';
import { eventually } from '../support/clock/patience.js';
import { silent, TestFolder } from '../support/process/task-system.js';
import { postgresDatabase, postgresUrl, type TestDatabase } from '../support/database/test-databases.js';

/** Scans come often; signs of life come as they do everywhere. */
const FAST = { flush: { flushIntervalMs: 50, worker: 'process' }, recovery: { scanIntervalMs: 200 } };
/** Entries stay in the log for a while, unless somebody asks for them. */
const SLOW_FLUSH = { ...FAST, flush: { flushIntervalMs: 3000, worker: 'process' } };

let database: TestDatabase;
let folders: TestFolder[];
let children: ChildApp[];

async function folder(): Promise<TestFolder> {
  const made = await TestFolder.create();
  folders.push(made);
  return made;
}

/** A home in a process of its own. */
async function child(home: TestFolder, more: object = FAST): Promise<ChildApp> {
  const app = await ChildApp.start(home.options({ ...more, repository: database.options, hooks: undefined }));
  children.push(app);
  return app;
}

/** A home in this process. */
async function here(
  home: TestFolder,
  more: object = FAST,
): Promise<{ system: TaskSystem; said: string[]; warnings: string[]; started: string[] }> {
  const said: string[] = [];
  const warnings: string[] = [];
  const started: string[] = [];
  const hooks = { logger: { ...silent, log: (text: string) => said.push(text), warn: (text: string) => warnings.push(text) } };
  const system = await home.system({ ...more, repository: database.options, hooks });
  system.defineTask('hang', {
    handler: (_, ctx: TaskContext) =>
      new Promise((_resolve, reject) => {
        started.push(ctx.taskId);
        ctx.signal.addEventListener('abort', () => reject(ctx.signal.reason));
      }),
  });
  system.defineTask('quick', { handler: async (input) => ({ echo: input }) });
  return { system, said, warnings, started };
}

const rowOf = async (id: string): Promise<Record<string, any> | undefined> => {
  const { username: user, ...rest } = database.options as Record<string, any>;
  const client = new pg.Client({ ...rest, user });
  await client.connect();
  try {
    return (await client.query('SELECT * FROM taskflow_tasks WHERE id = $1', [id])).rows[0];
  } finally {
    await client.end();
  }
};
const inRows = (id: string, status: string) =>
  eventually(
    () => rowOf(id),
    (row) => row?.['status'] === status,
  );
const logIdOf = (home: TestFolder): string => {
  const first = readdirSync(home.path)
    .filter((name) => /^events-\d{16}\.log$/.test(name))
    .sort()[0]!;
  return /"logId":"([^"]+)"/.exec(readFileSync(home.file(first), 'utf8'))![1]!;
};
/** Processes that this one started. */
const ownChildren = (): string[] => readFileSync(`/proc/self/task/${process.pid}/children`, 'utf8').split(' ').filter(Boolean);

(postgresUrl() === undefined ? describe.skip : describe)('Two homes on one PostgreSQL database', () => {
  beforeEach(async () => {
    folders = [];
    children = [];
    database = await postgresDatabase();
  });
  afterEach(async () => {
    for (const app of children) await app.kill();
    for (const made of folders) await made.dispose();
    await database.drop();
  });

  it('each run their own tasks only; a kill of one leaves the other alone, and its restart recovers its own', async () => {
    const mine = await folder();
    const theirs = await folder();
    const first = await child(theirs);
    const { system, started } = await here(mine);
    await system.initialize();
    const { id: theirTask } = await first.ask('submit', { name: 'hang', params: { input: 1 } });
    const { id: theirQuick } = await first.ask('submit', { name: 'quick', params: { input: 1 } });
    const myTask = await system.submit('hang', { input: 1 });
    const waiting = await system.submit('quick', { input: 2, delayMs: 3_600_000 });
    await inRows(theirTask, 'running');
    await inRows(theirQuick, 'completed');
    await inRows(myTask.id, 'running');
    await inRows(waiting.id, 'created');

    await first.kill();
    expect(await system.getStatus({ taskId: theirTask })).toMatchObject({ status: 'running', fence: 1 });
    const second = await child(theirs);
    await second.hears((message) => message['started'] === theirTask);
    await eventually(
      () => system.getStatus({ taskId: theirTask }),
      (task) => task?.fence === 2 && task.status === 'running',
    );
    expect(second.said.filter((message) => message['started'] !== undefined)).toMatchObject([{ started: theirTask, fence: 2 }]);
    expect((await second.ask('stats'))['stats'].tasks).toMatchObject({ recovered: 1, running: 1, queued: 0, delayed: 0 });
    expect(started).toEqual([myTask.id]);
    expect(await system.getStatus(myTask)).toMatchObject({ status: 'running', fence: 1 });
    expect(system.getStats().tasks).toMatchObject({ recovered: 0, running: 1, delayed: 1 });

    // Both states from both sides.
    expect((await second.ask('status', { ref: { taskId: myTask.id } }))['task']).toMatchObject({ status: 'running', fence: 1 });
    expect(await system.getStatus({ taskId: theirQuick })).toMatchObject({ status: 'completed', result: { echo: 1 } });
  });

  it("refuse to cancel each other's tasks, running and waiting, naming the reason", async () => {
    const first = await child(await folder());
    const { system } = await here(await folder());
    await system.initialize();
    const { id: running } = await first.ask('submit', { name: 'hang', params: { input: 1 } });
    const { id: waiting } = await first.ask('submit', { name: 'quick', params: { input: 1, delayMs: 3_600_000 } });
    await inRows(running, 'running');
    await inRows(waiting, 'created');
    for (const taskId of [running, waiting]) {
      const refused = await system.cancel({ taskId }).catch((error: unknown) => error);
      expect(ConflictError.is(refused) && refused.code).toBe('HOME_ELSEWHERE');
    }
    expect((await first.ask('cancel', { ref: { taskId: waiting } }))['task']).toMatchObject({ status: 'cancelled' });
  });

  it("stream each other's tasks from the rows, in order and to the end", async () => {
    const first = await child(await folder());
    const { system } = await here(await folder());
    await system.initialize();
    const { id } = await first.ask('submit', { name: 'count', params: { input: { rows: 20, pauseMs: 50 } } });
    await eventually(
      () => rowOf(id),
      (row) => row !== undefined,
    );
    const events: TaskEvent[] = [];
    for await (const event of system.subscribe({ taskId: id })) events.push(event);
    expect(events.filter((event) => event.seq !== undefined).map((event) => event.seq)).toEqual(
      Array.from({ length: 23 }, (_, at) => at + 1),
    );
    expect(events.at(-1)).toMatchObject({ type: 'complete', payload: { result: { rows: 20 } } });
    const rest = [];
    for await (const event of system.subscribe({ taskId: id }, { lastSeq: 20 })) rest.push(event.seq);
    expect(rest).toEqual([21, 22, 23]);
    expect(await system.result({ taskId: id })).toEqual({ rows: 20 });
  });

  it('let a position beyond the rows of the other home wait for them', async () => {
    const first = await child(await folder());
    const { system } = await here(await folder());
    await system.initialize();
    const { id } = await first.ask('submit', { name: 'count', params: { input: { rows: 30, holdAt: 10 } } });
    // Created, started, ten rows.
    await eventually(
      () => rowOf(id),
      (row) => Number(row?.['last_seq']) === 12,
    );
    const rest: (number | undefined)[] = [];
    const waiting = (async () => {
      for await (const event of system.subscribe({ taskId: id }, { lastSeq: 28 })) rest.push(event.seq);
    })();
    await eventually(
      () => system.getStats().streams.subscribers,
      (count) => count === 1,
    );
    expect(rest).toEqual([]);
    await first.ask('goOn');
    await waiting;
    expect(rest).toEqual([29, 30, 31, 32, 33]);
  });

  it('accept the same key within one flush interval; the second one flushed loses it, and says so', async () => {
    const first = await child(await folder(), SLOW_FLUSH);
    const { system, warnings } = await here(await folder(), SLOW_FLUSH);
    await system.initialize();
    const params = { input: { n: 1 }, userId: 'alice', idempotencyKey: 'order-7' };
    const [mine, { id: theirs }] = await Promise.all([system.submit('quick', params), first.ask('submit', { name: 'quick', params })]);
    expect(mine.id).not.toBe(theirs);
    const [myRow, theirRow] = [await inRows(mine.id, 'completed'), await inRows(theirs, 'completed')];
    const holders = [myRow!, theirRow!].filter((row) => row['key_hash'] !== null);
    expect(holders).toHaveLength(1);
    const loser = holders[0]!['id'] === mine.id ? theirs : mine.id;
    const heard = (): string[] => [...warnings, ...first.said.map((message) => String(message['warned'] ?? ''))];
    await eventually(heard, (texts) => texts.some((text) => text.includes(`Task ${loser} has no key`) && text.includes(holders[0]!['id'])));
    expect(heard().join()).not.toContain('order-7');
    // From now on both give the task that has the key.
    const again = await eventually(
      () => system.submit('quick', params),
      (task) => task.id === holders[0]!['id'],
    );
    expect((await first.ask('submit', { name: 'quick', params }))['id']).toBe(again.id);
  });

  describe('An empty log folder beside unfinished work', () => {
    async function expectRefused(empty: TestFolder, lost: { logId: string; position: number }, more: object = FAST): Promise<void> {
      const before = ownChildren();
      const { system } = await here(empty, more);
      const refused = await system.initialize().catch((error: unknown) => error);
      expect(RepositoryError.is(refused) && refused.code).toBe('UNADOPTED_HOME');
      const { message } = refused as Error;
      expect(message).toContain(empty.path);
      expect(message).toContain(lost.logId);
      expect(message).toContain(`up to entry ${lost.position},`);
      expect(system.getStats().flush.workerPid).toBeNull();
      expect(ownChildren().filter((pid) => !before.includes(pid))).toEqual([]);
      await expect(system.submit('quick', { input: 1 })).rejects.toMatchObject({ code: 'UNADOPTED_HOME' });
    }

    it('is refused after a kill, again and again, and the lost folder goes on once it is back', async () => {
      const theirs = await folder();
      const first = await child(theirs);
      const { id } = await first.ask('submit', { name: 'hang', params: { input: 1 } });
      await inRows(id, 'running');
      await first.kill();
      const lost = { logId: logIdOf(theirs), position: 2 };
      const empty = await folder();
      await expectRefused(empty, lost);
      await expectRefused(empty, lost);
      const second = await child(theirs);
      await second.hears((message) => message['started'] === id);
    });

    it('is refused at once after an orderly end that left work behind', async () => {
      const theirs = await folder();
      const first = await child(theirs);
      const { id } = await first.ask('submit', { name: 'quick', params: { input: 1, delayMs: 3_600_000 } });
      await inRows(id, 'created');
      await first.ask('shutdown');
      await expectRefused(await folder(), { logId: logIdOf(theirs), position: 1 }, { ...FAST, recovery: { scanIntervalMs: 600_000 } });
    });

    it('ends its wait for a sign of life when it is shut down', async () => {
      const first = await child(await folder(), { ...FAST, recovery: { scanIntervalMs: 600_000 } });
      const { id } = await first.ask('submit', { name: 'hang', params: { input: 1 } });
      await inRows(id, 'running');
      const { system, said } = await here(await folder(), { ...FAST, recovery: { scanIntervalMs: 600_000 } });
      const starting = system.initialize().catch((error: unknown) => error);
      await eventually(
        () => said,
        (lines) => lines.some((line) => line.includes('signs of life')),
      );
      await system.shutdown();
      await starting;
    });

    it('is welcome while the process of that work lives, and stays so when that process dies', async () => {
      const first = await child(await folder());
      const { id } = await first.ask('submit', { name: 'hang', params: { input: 1 } });
      await inRows(id, 'running');
      const mine = await folder();
      const { system } = await here(mine, { ...FAST, recovery: { scanIntervalMs: 5000 } }); // waits longer than a busy machine is silent
      await system.initialize();
      expect(system.getStats().status).toBe('running');
      await first.kill();
      await system.shutdown();
      const again = await here(mine);
      await again.system.initialize();
      const task = await again.system.submit('quick', { input: 1 });
      expect(await again.system.result(task)).toEqual({ echo: 1 });
    });
  });
});
