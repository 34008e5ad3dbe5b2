import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { ConflictError, type Task, type TaskDefinition, type TaskflowOptionsInput, type TaskSystem } from 'nestjs-taskflow';
import { eventually } from '../support/clock/patience.js';
import { TestFolder } from '../support/process/task-system.js';

let folder: TestFolder;
beforeEach(async () => {
  folder = await TestFolder.create();
});
afterEach(async () => {
  await folder.dispose();
});

const FAILS: TaskDefinition = { retry: { maxAttempts: 1 }, handler: async () => Promise.reject(new Error('no')) };

async function start(tasks: Record<string, TaskDefinition> = {}, options: TaskflowOptionsInput = {}): Promise<TaskSystem> {
  const system = await folder.system({ executor: { tickIntervalMs: 5 }, ...options });
  const all = { echo: { handler: async (input: unknown) => input }, fails: FAILS, ...tasks };
  for (const [name, task] of Object.entries(all)) system.defineTask(name, task);
  await system.initialize();
  return system;
}
const flushed = (system: TaskSystem) =>
  eventually(
    () => system.getStats(),
    ({ flush, eventLog }) => flush.appliedSeq === eventLog.durableSeq,
  );
const conflictOf = (call: Promise<unknown>): Promise<string | undefined> =>
  call.then(
    () => undefined,
    (error: unknown) => (ConflictError.is(error) ? error.code : String(error)),
  );
const failed = async (system: TaskSystem, more: object = {}): Promise<Task> => {
  const task = await system.submit('fails', { input: null, ...more });
  await system.result(task).catch(() => undefined);
  return task;
};

describe('idempotency', () => {
  it('makes one task of many submits at once, and says what stands in the way of another input or name', async () => {
    const system = await start();
    const tasks = await Promise.all(
      Array.from({ length: 50 }, () => system.submit('echo', { input: { a: 1, b: [2] }, idempotencyKey: 'k', userId: 'alice' })),
    );
    expect(new Set(tasks.map(({ id }) => id)).size).toBe(1);
    expect(tasks[0]).toMatchObject({ idempotencyKey: 'k', userId: 'alice' });
    const again = { idempotencyKey: 'k', userId: 'alice' };
    expect((await system.submit('echo', { input: { b: [2], a: 1 }, ...again })).id).toBe(tasks[0]!.id);
    expect(await conflictOf(system.submit('echo', { input: { a: 2 }, ...again }))).toBe('IDEMPOTENCY_CONFLICT');
    expect(await conflictOf(system.submit('fails', { input: { a: 1, b: [2] }, ...again }))).toBe('IDEMPOTENCY_CONFLICT');
    expect((await system.list()).items).toHaveLength(1);
  });

  it('holds per user and for no user, over flush, end and restart', async () => {
    const first = await start();
    const ids = [];
    for (const owner of [{ userId: 'alice' }, { userId: 'bob' }, {}]) {
      const task = await first.submit('echo', { input: 1, idempotencyKey: 'k', ...owner });
      await first.result(task);
      ids.push(task.id);
    }
    expect(new Set(ids).size).toBe(3);
    await flushed(first);
    expect(await first.submit('echo', { input: 1, idempotencyKey: 'k', userId: 'bob' })).toMatchObject({
      id: ids[1],
      status: 'completed',
      result: 1,
    });
    await first.shutdown();
    const second = await start();
    expect(await second.submit('echo', { input: 1, idempotencyKey: 'k', userId: null })).toMatchObject({ id: ids[2], status: 'completed' });
    expect(await second.getStatus('k', { userId: 'alice' })).toMatchObject({ id: ids[0] });
    expect(await second.getStatus('k')).toMatchObject({ id: ids[2] });
    expect(await second.getStatus({ taskId: ids[0]! })).toMatchObject({ idempotencyKey: 'k', userId: 'alice' });
  });

  it('is derived from name, input and user where the handler asks for it', async () => {
    const system = await start({ once: { idempotency: 'input', handler: async (input: unknown) => input } });
    const one = await system.submit('once', { input: { a: 1, b: 2 }, userId: 'alice' });
    expect((await system.submit('once', { input: { b: 2, a: 1 }, userId: 'alice' })).id).toBe(one.id);
    for (const params of [
      { input: { a: 1, b: 3 }, userId: 'alice' },
      { input: { a: 1, b: 2 }, userId: 'bob' },
      { input: { a: 1, b: 2 } },
    ]) {
      expect((await system.submit('once', params)).id).not.toBe(one.id);
    }
    expect(await system.getStatus(one.idempotencyKey, { userId: 'alice' })).toMatchObject({ id: one.id });
    const [x, y] = [await system.submit('echo', { input: 1 }), await system.submit('echo', { input: 1 })];
    expect(x.id).not.toBe(y.id);
    expect(x.idempotencyKey).toBe(x.id);
    expect(await system.getStatus(x.idempotencyKey)).toMatchObject({ id: x.id });
  });

  it('costs no quota for a hit, and gives the ticket back when the submit is refused', async () => {
    const system = await start({}, { guard: { backpressure: { maxTasksPerUserWindow: 2 } } });
    const submit = (key: string): Promise<Task> => system.submit('echo', { input: 1, idempotencyKey: key, userId: 'alice' });
    for (let n = 0; n < 10; n++) await submit('k');
    await expect(system.submit('echo', { input: 1n, userId: 'alice' })).rejects.toMatchObject({ status: 400 });
    await submit('l');
    await expect(submit('m')).rejects.toMatchObject({ status: 429, limit: 'user' });
  });
});

describe('limits', () => {
  const accepted = async (calls: Promise<unknown>[]): Promise<number> =>
    (await Promise.allSettled(calls)).filter(({ status }) => status === 'fulfilled').length;

  it('hold exactly in a burst, and for the queue also after a restart', async () => {
    const options = {
      executor: { enabled: false },
      guard: { backpressure: { maxQueuedSize: 7, maxDelayedSize: 5, maxTasksPerWindow: 200, maxTasksPerUserWindow: 3 } },
    };
    const first = await start({}, options);
    const burst = (system: TaskSystem, params: object = {}): Promise<number> =>
      accepted(Array.from({ length: 50 }, (_, n) => system.submit('echo', { input: n, ...params })));
    // What one user is refused takes no room from another one who comes at the same moment.
    const [alice, bob] = await Promise.all([
      burst(first, { userId: 'alice' }),
      accepted([first.submit('echo', { input: 1, userId: 'bob' })]),
    ]);
    expect([alice, bob]).toEqual([3, 1]);
    // What waits for its time closes the queue to nobody.
    expect(await burst(first, { delayMs: 3_600_000 })).toBe(5);
    expect(await burst(first)).toBe(3);
    expect(await burst(first)).toBe(0);
    // Alice's part of the queue is as large as her window: the queue's refusal is told, since the end of the window would not let her in.
    expect(first.getStats().guard.rejections).toMatchObject({ user: 0, delayed: 45, queue: 144 });
    const { items } = await first.list();
    await Promise.all(items.slice(0, 2).map((task) => first.cancel(task)));
    expect(await burst(first)).toBe(2);
    await first.shutdown();
    const second = await start({}, options);
    await eventually(
      () => second.getStats().tasks,
      ({ queued, delayed }) => queued === 7 && delayed === 5,
    );
    expect(await burst(second)).toBe(0);
    await second.cancel(items[2]!);
    expect(await burst(second)).toBe(1);
  });

  it('of the window hold exactly for all users together, whatever the queue', async () => {
    const system = await start({}, { guard: { backpressure: { maxTasksPerWindow: 20, maxTasksPerUserWindow: 20, maxQueuedSize: 1_000 } } });
    const calls = Array.from({ length: 60 }, (_, n) =>
      system.submit('echo', { input: n, userId: `user${n % 5}`, ...(n % 2 === 0 ? { idempotencyKey: `k${n}` } : {}) }),
    );
    expect(await accepted(calls)).toBe(20);
    expect((await system.list({ limit: 500 })).items).toHaveLength(20);
    const error: unknown = await system.submit('echo', { input: 1 }).catch((reason: unknown) => reason);
    expect(error).toMatchObject({ limit: 'global', retryAfterMs: expect.any(Number) });
    expect((error as { retryAfterMs: number }).retryAfterMs).toBeLessThanOrEqual(60_000);
  });

  it('on subscribers hold per task, per user and in all, and come free when one leaves', async () => {
    const system = await start(
      {},
      { executor: { enabled: false }, stream: { maxSubscribersPerTask: 2, maxSubscribersPerUser: 3, maxSubscribers: 4 } },
    );
    const [a, b, c] = await Promise.all([1, 2, 3].map((n) => system.submit('echo', { input: n, userId: 'alice' })));
    const open: AsyncIterator<unknown>[] = [];
    const listen = async (task: Task, options: object): Promise<string> => {
      const iterator = system.subscribe(task, options)[Symbol.asyncIterator]();
      try {
        await iterator.next();
        open.push(iterator);
        return 'ok';
      } catch (error) {
        return (error as { limit: string }).limit;
      }
    };
    const alice = { userId: 'alice' };
    expect([
      await listen(a!, alice),
      await listen(a!, alice),
      await listen(a!, alice),
      await listen(b!, alice),
      await listen(b!, alice),
    ]).toEqual(['ok', 'ok', 'task', 'ok', 'user']);
    expect([await listen(c!, {}), await listen(c!, {})]).toEqual(['ok', 'global']);
    expect(system.getStats().streams).toEqual({ active: 3, subscribers: 4 });
    await open[0]!.return!();
    expect(await listen(a!, {})).toBe('ok');
  });
});

describe('list', () => {
  it('pages newest first without a gap or a repeat over flushed and unflushed tasks, by every filter', async () => {
    const system = await start({}, { flush: { flushIntervalMs: 3_600_000 } });
    const ids: string[] = [];
    const one = async (n: number): Promise<void> => {
      const name = n % 4 === 0 ? 'fails' : 'echo';
      const task = await system.submit(name, { input: n, userId: n % 2 === 0 ? 'alice' : 'bob', tags: [`mod${n % 3}`, 'all'] });
      await system.result(task).catch(() => undefined);
      ids.unshift(task.id);
    };
    for (let n = 0; n < 20; n++) await one(n);
    await system.shutdown();
    const second = await start({}, { flush: { flushIntervalMs: 3_600_000, maxBatchSize: 1_000_000 } });
    const later = async (n: number): Promise<void> => {
      const name = n % 4 === 0 ? 'fails' : 'echo';
      const task = await second.submit(name, { input: n, userId: n % 2 === 0 ? 'alice' : 'bob', tags: [`mod${n % 3}`, 'all'] });
      await second.result(task).catch(() => undefined);
      ids.unshift(task.id);
    };
    for (let n = 20; n < 40; n++) await later(n);
    const { flush, eventLog } = second.getStats();
    expect(flush.appliedSeq).toBeLessThan(eventLog.durableSeq); // both kinds are there
    const all = async (options: object, limit: number): Promise<Task[]> => {
      const items: Task[] = [];
      for (let cursor: string | undefined; ;) {
        const page = await second.list({ ...options, limit, ...(cursor === undefined ? {} : { cursor }) });
        expect(page.items.length).toBeLessThanOrEqual(limit);
        items.push(...page.items);
        if (page.nextCursor === null) return items;
        cursor = page.nextCursor;
      }
    };
    for (const limit of [1, 7, 40, 500]) expect((await all({}, limit)).map(({ id }) => id)).toEqual(ids);
    expect((await all({ userId: 'alice' }, 3)).map(({ input }) => input)).toEqual([
      38, 36, 34, 32, 30, 28, 26, 24, 22, 20, 18, 16, 14, 12, 10, 8, 6, 4, 2, 0,
    ]);
    expect(await all({ userId: null }, 3)).toEqual([]);
    expect((await all({ status: 'failed' }, 3)).map(({ input }) => input)).toEqual([36, 32, 28, 24, 20, 16, 12, 8, 4, 0]);
    expect((await all({ name: 'fails', userId: 'bob' }, 3)).length).toBe(0);
    expect(
      (await all({ tag: 'mod2', status: 'completed' }, 4)).every(({ tags, status }) => tags[0] === 'mod2' && status === 'completed'),
    ).toBe(true);
    expect((await all({ tag: 'mod2' }, 4)).length).toBe(13);
    expect((await all({ deadLettered: true, tag: 'mod0' }, 2)).map(({ input }) => input)).toEqual([36, 24, 12, 0]);
    expect(await all({ deadLettered: true, status: 'completed' }, 2)).toEqual([]);
    expect((await second.list()).items).toHaveLength(40);
  });

  it('refuses filters that cannot be', async () => {
    const system = await start();
    for (const [options, field] of [
      [{ limit: 0 }, 'limit'],
      [{ limit: 501 }, 'limit'],
      [{ limit: Number.NaN }, 'limit'],
      [{ status: 'done' }, 'status'],
      [{ cursor: 'nonsense' }, 'cursor'],
      [{ userId: '' }, 'userId'],
      [{ userId: undefined }, 'userId'],
      [{ tag: '' }, 'tag'],
      [{ name: 'a\u0000b' }, 'name'],
    ] as const) {
      // Undefined is a guard that is missing, which is not the visitor's fault.
      const status = 'userId' in options && options.userId === undefined ? 500 : 400;
      await expect(system.list(options as never)).rejects.toMatchObject({ name: 'ValidationError', field, status });
    }
  });
});

describe('dead letters', () => {
  it('are listed newest first, retried into a new life up to maxRetries, and removed for good, over a restart', async () => {
    const first = await start({}, { guard: { dlq: { maxRetries: 2 } } });
    const [a, b] = [await failed(first, { userId: 'alice' }), await failed(first, { userId: 'bob' })];
    const letters = async (system: TaskSystem, options: object = {}): Promise<string[]> =>
      (await system.deadLetters.list(options)).items.map(({ id }) => id);
    expect(await letters(first)).toEqual([b.id, a.id]);
    expect(await letters(first, { userId: 'alice' })).toEqual([a.id]);
    expect(await first.deadLetters.retry(a)).toMatchObject({ id: a.id, status: 'created', attempt: 1, deadLetteredAt: null });
    await first.result(a).catch(() => undefined);
    expect(await letters(first)).toEqual([a.id, b.id]); // died again, later
    expect(await first.deadLetters.remove(b)).toBe(true);
    expect(await first.deadLetters.remove(b)).toBe(false);
    expect(await first.getStatus(b)).toMatchObject({ status: 'failed', deadLetteredAt: null });
    expect(await conflictOf(first.deadLetters.retry(b))).toBe('NOT_DEAD_LETTERED');
    await first.shutdown();

    const second = await start({}, { guard: { dlq: { maxRetries: 2 } } });
    expect(await letters(second)).toEqual([a.id]);
    await second.deadLetters.retry(a);
    await second.result(a).catch(() => undefined);
    expect(await conflictOf(second.deadLetters.retry(a))).toBe('RETRIES_EXHAUSTED');
    const ok = await second.submit('echo', { input: 1 });
    await second.result(ok);
    expect(await conflictOf(second.deadLetters.retry(ok))).toBe('NOT_DEAD_LETTERED');
  });

  it('are retried all at once by a filter, each at most once', async () => {
    let fixed = false;
    const system = await start({
      flaky: { retry: { maxAttempts: 1 }, handler: async () => (fixed ? 'ok' : Promise.reject(new Error('down'))) },
    });
    const tasks: Task[] = [];
    for (let n = 0; n < 5; n++) tasks.push(await system.submit('flaky', { input: n }));
    await Promise.allSettled(tasks.map((task) => system.result(task)));
    fixed = true;
    expect(await system.deadLetters.retryAll((task) => task.input % 2 === 0)).toBe(3);
    expect(await Promise.all([0, 2, 4].map((n) => system.result(tasks[n]!)))).toEqual(['ok', 'ok', 'ok']);
    const [one, two] = await Promise.all([system.deadLetters.retryAll(), system.deadLetters.retryAll()]);
    expect(one + two).toBe(2);
    expect((await system.deadLetters.list()).items).toEqual([]);
  });

  it('are the newest maxSize only, whatever filter is asked with, and none past ttlMs', async () => {
    const system = await start({}, { guard: { dlq: { maxSize: 2 } } });
    const tasks = [await failed(system, { userId: 'alice' }), await failed(system), await failed(system)];
    await flushed(system);
    expect((await system.deadLetters.list({ limit: 1 })).items.map(({ id }) => id)).toEqual([tasks[2]!.id]);
    expect((await system.deadLetters.list()).items.map(({ id }) => id)).toEqual([tasks[2]!.id, tasks[1]!.id]);
    expect(await conflictOf(system.deadLetters.retry(tasks[0]!))).toBe('NOT_DEAD_LETTERED');
    expect((await system.deadLetters.list({ userId: 'alice' })).items).toEqual([]);
    await system.shutdown();
    const second = await start({}, { guard: { dlq: { ttlMs: 1 } } });
    expect((await second.deadLetters.list()).items).toEqual([]);
    expect(await second.getStatus(tasks[2]!)).toMatchObject({ status: 'failed', deadLetteredAt: null });
    expect(await conflictOf(second.deadLetters.retry(tasks[2]!))).toBe('NOT_DEAD_LETTERED');
  });
});
