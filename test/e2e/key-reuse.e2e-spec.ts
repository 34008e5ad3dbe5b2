import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { StreamOverflowError, type Task, type TaskSystem, type TaskflowOptionsInput } from 'nestjs-taskflow';
import { ChildApp } from '../support/process/child-app.js';
import { PATIENCE_MS, eventually } from '../support/clock/patience.js';
import { caughtUp, TestFolder } from '../support/process/task-system.js';
import { DATABASES, type TestDatabase } from '../support/database/test-databases.js';

/** The worker's timer does not fire within a test: only a full batch, or a start, brings anything to the database. */
const NEVER_FLUSHED = { worker: 'process', flushIntervalMs: 3_600_000 } as const;
const SOON_FLUSHED = { worker: 'process', flushIntervalMs: 20 } as const;
const REUSE = { input: 1, userId: 'ann', idempotencyKey: 'k', keyReuse: 'unsuccessful' };
const ANN = { userId: 'ann' };

describe.each(DATABASES)('A key that is used again, with the flush worker, on $name', ({ available, create }) => {
  const proof = available ? it : it.skip;
  let folder: TestFolder;
  let database: TestDatabase;
  let children: ChildApp[];

  beforeEach(async () => {
    if (!available) return;
    folder = await TestFolder.create();
    database = await create();
    children = [];
  });
  afterEach(async () => {
    if (!available) return;
    for (const child of children) await child.kill();
    await folder.dispose();
    await database.drop();
  });

  const options = (flush: object, more: TaskflowOptionsInput = {}): TaskflowOptionsInput => {
    const { hooks: _, ...plain } = folder.options({ ...more, repository: database.options as never, flush });
    return { ...plain, eventLog: { ...plain['eventLog'], lockTimeoutMs: PATIENCE_MS } };
  };
  const child = async (flush: object): Promise<ChildApp> => {
    const started = await ChildApp.start(options(flush));
    children.push(started);
    return started;
  };
  const system = async (more: TaskflowOptionsInput = {}): Promise<TaskSystem> => {
    const made = await folder.system(options(SOON_FLUSHED, more));
    made.defineTask('quick', { handler: async (input) => ({ echo: input }) });
    made.defineTask('fail', { retry: { maxAttempts: 1 }, handler: async () => Promise.reject(new Error('no')) });
    made.defineTask('report', {
      handler: async (_, ctx) => {
        await ctx.progress({ half: true });
        return 1;
      },
    });
    await made.initialize();
    return made;
  };
  const appliedSeq = async (app: ChildApp): Promise<number> => (await app.ask('stats'))['stats'].flush.appliedSeq;
  const statusOf = async (app: ChildApp, ref: unknown): Promise<Task> => (await app.ask('status', { ref, owner: ANN }))['task'];
  const flushed = (app: ChildApp): Promise<unknown> =>
    eventually(
      async () => (await app.ask('stats'))['stats'],
      ({ flush, eventLog }) => flush.appliedSeq === eventLog.durableSeq,
    );
  const submit = async (app: ChildApp, name: string, params: object): Promise<string> => (await app.ask('submit', { name, params }))['id'];

  proof('stays with its newest task when the process is killed before anything, or after everything, is flushed', async () => {
    const first = await child(NEVER_FLUSHED);
    const ids = [await submit(first, 'hang', REUSE)];
    for (let n = 0; n < 3; n++) {
      await first.ask('cancel', { ref: { id: ids[n] }, owner: ANN });
      await eventually(
        () => statusOf(first, { id: ids[n] }),
        ({ status }) => status === 'cancelled',
      );
      ids.push(await submit(first, 'hang', REUSE));
    }
    expect(new Set(ids).size).toBe(4);
    expect(await appliedSeq(first)).toBe(0);
    await first.kill();

    const expectChain = async (app: ChildApp): Promise<void> => {
      expect((await statusOf(app, 'k')).id).toBe(ids[3]);
      for (let n = 0; n < 3; n++)
        expect(await statusOf(app, { id: ids[n] })).toMatchObject({ status: 'cancelled', supersededBy: ids[n + 1] });
      expect(await submit(app, 'hang', REUSE)).toBe(ids[3]);
    };
    const second = await child(SOON_FLUSHED);
    await expectChain(second);
    await flushed(second);
    await expectChain(second);
    await second.kill();
    const third = await child(SOON_FLUSHED);
    await expectChain(third);
    // From rows alone it goes on.
    await third.ask('cancel', { ref: 'k', owner: ANN });
    await eventually(
      () => statusOf(third, 'k'),
      ({ status }) => status === 'cancelled',
    );
    const { keyBase } = await statusOf(third, 'k');
    const next = await submit(third, 'hang', REUSE);
    expect(ids).not.toContain(next);
    expect((await statusOf(third, 'k')).keyBase).toBeGreaterThan(keyBase!);
  });

  proof('is a 410 for an old position when its task was pruned, also after a restart', async () => {
    const retention = { completedTtlMs: 100, sweepIntervalMs: 50 };
    const first = await system({ retention });
    const params = { input: 1, userId: 'ann', idempotencyKey: 'k' };
    const old = await first.submit('quick', params);
    await first.result(old);
    await eventually(
      () => first.getStatus(old),
      (task) => task === null,
    );
    await caughtUp(first);
    await first.shutdown();
    const second = await system();
    const next = await second.submit('quick', params);
    expect(next.keyBase).toBe(4);
    await second.result(next);
    for (const lastSeq of [1, 3]) await expect(second.sse('k', { ...ANN, lastSeq })).rejects.toThrow(StreamOverflowError);
    const seen: unknown[] = [];
    for await (const event of second.subscribe('k', { ...ANN, lastSeq: 4 })) seen.push([event.taskId, event.seq]);
    expect(seen).toEqual([1, 2, 3].map((seq) => [next.id, seq]));
  });

  proof('is used by many submits at once, beside hits and new tasks, and rows say the same after a restart', async () => {
    const first = await system();
    const failed = await first.submit('fail', { input: 1, userId: 'ann', idempotencyKey: 'failed' });
    const done = await first.submit('fail', { input: 2, userId: 'ann', idempotencyKey: 'waits', delayMs: 3_600_000 });
    await expect(first.result(failed)).rejects.toThrow('no');
    await caughtUp(first);
    const item = (key: string, input: number) =>
      ({ input, userId: 'ann', idempotencyKey: key, keyReuse: 'unsuccessful', delayMs: 3_600_000 }) as const;
    const items = [item('failed', 7), item('waits', 2), item('new', 3), item('new', 3), { input: 4, userId: 'ann', delayMs: 3_600_000 }];
    const tasks = await first.submitMany('fail', items);
    expect(tasks.map(({ id }) => id === done.id)).toEqual([false, true, false, false, false]);
    expect(tasks[2]!.id).toBe(tasks[3]!.id);
    expect(new Set([failed.id, ...tasks.map(({ id }) => id)]).size).toBe(5);
    await expect(first.submitMany('fail', [item('other', 1), item('new', 99)])).rejects.toMatchObject({ code: 'IDEMPOTENCY_CONFLICT' });
    await caughtUp(first);
    await first.shutdown();
    const second = await system();
    for (const [key, at] of [
      ['failed', 0],
      ['waits', 1],
      ['new', 2],
    ] as const)
      expect((await second.get(key, ANN))?.id).toBe(tasks[at]!.id);
    expect(await second.get(failed, ANN)).toMatchObject({ supersededBy: tasks[0]!.id });
    await expect(second.retry(failed, ANN)).rejects.toMatchObject({ code: 'KEY_REUSED' });
    expect(await second.get('other', ANN)).toBeNull();
  });

  proof('has rows that keep expiry and newest progress', async () => {
    const first = await system();
    const expiresAt = new Date(Date.now() + 3_600_000);
    const waiting = await first.submit('quick', { input: 1, delayMs: 1_800_000, expiresAt });
    const reported = await first.submit('report', { input: 1 });
    await first.result(reported);
    await caughtUp(first);
    await first.shutdown();
    const second = await system();
    expect(await second.get(waiting)).toMatchObject({ status: 'created', expiresAt });
    expect(await second.get(reported)).toMatchObject({ status: 'completed', progress: { half: true } });
  });
});
