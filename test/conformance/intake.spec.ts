import { describe, expect, it } from '@jest/globals';
import type { SubmitParams } from '../../lib/contracts/task-system.interface.js';
import type { Task } from '../../lib/contracts/task.interface.js';
import { codeOf, count, forEveryEngine } from './house.js';

const BUSY = { slots: { maxExecutionGlobal: 1, maxExecutionPerUser: 1, slotTimeoutMs: 60_000 } };

forEveryEngine('A submit', (house) => {
  const outcomes = (times: number, params: Partial<SubmitParams<unknown>> = {}): Promise<string[]> =>
    house.until(Promise.all(Array.from({ length: times }, () => codeOf(house.system.submit('work', { input: 1, ...params })))));

  it('answers once the task is durable: it is there after a crash, with everything that was given', async () => {
    await house.open({ executor: { enabled: false } });
    const runAt = new Date(Date.UTC(2100, 0, 1));
    const given = { input: { to: 'ann', n: [1, 2] }, userId: 'ann', idempotencyKey: 'k', priority: 7, tags: ['a', 'b'], runAt };
    const task = await house.submit({ ...given, timeoutMs: 1234, maxAttempts: 4 });
    expect(task).toMatchObject({ ...given, name: 'work', status: 'created', attempt: 1, maxAttempts: 4, timeoutMs: 1234, fence: 0 });
    await house.engine.crash();
    await house.engine.restart();
    expect(await house.now(task)).toEqual(task);
    await house.engine.atRest();
    expect(await house.now(task)).toEqual(task);
  });

  it('of a burst is admitted as long as the queue has room, and what starts at once does not count', async () => {
    await house.open({ guard: { slots: { maxExecutionGlobal: 1 }, backpressure: { maxQueuedSize: 5 } } });
    const all = await outcomes(30);
    expect([count(all, 'ok'), count(all, 'BACKPRESSURE')]).toEqual([6, 24]);
    expect(house.system.getStats().tasks.queued).toBe(5);
    await house.open({ guard: { slots: { maxExecutionGlobal: 10 }, backpressure: { maxQueuedSize: 5 } } });
    expect(count(await outcomes(15), 'ok')).toBe(15);
  });

  it("is refused by the user's window without a charge, and by the window of all", async () => {
    await house.open({ guard: { backpressure: { maxTasksPerUserWindow: 3, maxTasksPerWindow: 5 } } });
    expect(count(await outcomes(10, { userId: 'ann' }), 'ok')).toBe(3);
    expect(count(await outcomes(10, { userId: 'bob' }), 'ok')).toBe(2);
    const refused = await house.until(house.system.submit('work', { input: 1, userId: 'cid' }).catch((error: unknown) => error));
    expect(refused).toMatchObject({ code: 'BACKPRESSURE', limit: 'global', retryAfterMs: expect.any(Number) });
    expect(house.system.getStats().guard.rejections).toMatchObject({ user: 7, global: 9 });
  });

  it("as trusted passes the user's window, keeps the owner, and no other bound", async () => {
    await house.open({ guard: { backpressure: { maxTasksPerUserWindow: 2, maxTasksPerWindow: 5, maxQueuedSize: 100 } } });
    const ask = (admission: 'user' | 'trusted'): Promise<string> =>
      house.until(
        house.system.submit('work', { input: 1, userId: 'ann', admission }).then(
          (task) => `${task.userId}`,
          (error: { limit: string }) => error.limit,
        ),
      );
    expect([await ask('user'), await ask('user'), await ask('user')]).toEqual(['ann', 'ann', 'user']);
    expect([await ask('trusted'), await ask('trusted'), await ask('trusted')]).toEqual(['ann', 'ann', 'ann']);
    expect(await ask('trusted')).toBe('global');
  });

  it('for later is bounded by itself, for its user too, and keeps nobody from the queue', async () => {
    const backpressure = { maxTasksPerWindow: 1_000, maxTasksPerUserWindow: 10, maxQueuedSize: 5, maxDelayedSize: 30 };
    await house.open({ guard: { ...BUSY, backpressure } });
    const later = { runAt: new Date('9999-01-01') };
    expect(count(await outcomes(20, { userId: 'mallory', ...later }), 'ok')).toBe(10);
    expect(count(await outcomes(40, later), 'ok')).toBe(20);
    const refused = await house.until(house.system.submit('work', { input: 1, userId: 'ann', ...later }).catch((error: unknown) => error));
    expect(refused).toMatchObject({ code: 'BACKPRESSURE', limit: 'delayed' });
    expect(refused).not.toHaveProperty('retryAfterMs');
    expect(await outcomes(6, { userId: 'ann' })).toEqual(Array(6).fill('ok'));
    expect(await outcomes(1, { userId: 'bob' })).toEqual(['BACKPRESSURE']);
    expect(house.system.getStats()).toMatchObject({ tasks: { queued: 5, delayed: 30 }, guard: { rejections: { delayed: 31, queue: 1 } } });
  });

  it('that waits for a slot and gets none in time leaves nothing behind', async () => {
    await house.open({ guard: { slots: { maxExecutionGlobal: 1, slotTimeoutMs: 500 } } });
    const first = await house.running();
    const late = await house.until(
      house.system.submit('work', { input: 2, idempotencyKey: 'k', waitForSlot: true }).catch((error: unknown) => error),
    );
    expect(late).toMatchObject({ code: 'SLOT_TIMEOUT' });
    expect(await house.now('k')).toBeNull();
    expect((await house.until(house.system.list())).items.map(({ id }) => id)).toEqual([first.id]);
    expect(house.system.getStats()).toMatchObject({ guard: { slotsInUse: 1 }, tasks: { queued: 0 } });
  });

  it('that waits for a slot starts at once when it gets one', async () => {
    await house.open({ guard: { slots: { maxExecutionGlobal: 1, slotTimeoutMs: 30_000 } } });
    const first = await house.running();
    const waiting = house.system.submit('work', { input: 2, waitForSlot: true });
    await house.complete(first);
    await house.runs(await house.until(waiting));
  });

  it('to a process whose executor is off is accepted, and not run', async () => {
    await house.open({ executor: { enabled: false }, guard: { slots: { slotTimeoutMs: 300 } } });
    expect(await outcomes(1, { waitForSlot: true })).toEqual(['SLOT_TIMEOUT']);
    expect(await outcomes(1)).toEqual(['ok']);
    await house.pass(1_000);
    expect(house.work.calls).toEqual([]);
    expect(house.system.getStats()).toMatchObject({ guard: { slotsInUse: 0 }, tasks: { queued: 1, running: 0 } });
  });

  it.each([
    [{ expiresAt: new Date(), expiresInMs: 5 }, 'expiresInMs'],
    [{ expiresInMs: 0 }, 'expiresInMs'],
    [{ expiresInMs: 1e14 * 3 }, 'expiresInMs'],
    [{ expiresAt: new Date(Number.NaN) }, 'expiresAt'],
    [{ admission: 'admin' }, 'admission'],
    [{ priority: 0.5 }, 'priority'],
    [{ delayMs: -1 }, 'delayMs'],
    [{ runAt: new Date(), delayMs: 5 }, 'delayMs'],
    [{ maxAttempts: 0 }, 'maxAttempts'],
    [{ timeoutMs: 0 }, 'timeoutMs'],
    [{ idempotencyKey: '' }, 'idempotencyKey'],
    [{ tags: ['a\nb'] }, 'tags[0]'],
    [{ input: { at: 1n } }, 'input'],
  ])('that is wrong is refused by name, and makes nothing: %p', async (params, field) => {
    await house.open();
    const refused = await house.until(house.system.submit('work', { input: 1, ...params } as never).catch((error: unknown) => error));
    expect(refused).toMatchObject({ code: 'VALIDATION_FAILED', field });
    expect((await house.until(house.system.list())).items).toEqual([]);
  });
});

forEveryEngine('submitMany', (house) => {
  const many = (items: readonly SubmitParams<unknown>[]): Promise<readonly Task[]> => house.until(house.system.submitMany('work', items));
  const refusal = (items: readonly SubmitParams<unknown>[]): Promise<unknown> =>
    many(items).then(
      () => 'nothing',
      (error: unknown) => error,
    );
  const inputs = (length: number): SubmitParams<unknown>[] => Array.from({ length }, (_, input) => ({ input, userId: 'ann' }));
  const all = async (): Promise<number> => (await house.until(house.system.list({ limit: 100 }))).items.length;

  it('makes all tasks, answers in their order, starts those for whom there is a slot, and keeps all through a crash', async () => {
    await house.open({ guard: { slots: { maxExecutionGlobal: 3, maxExecutionPerUser: 3 } } });
    const tasks = await many(inputs(200));
    expect(tasks.map(({ input }) => input)).toEqual(inputs(200).map(({ input }) => input));
    await house.seen(
      () => house.work.runs.size,
      (running) => running === 3,
    );
    expect([...house.work.runs.keys()]).toEqual(tasks.slice(0, 3).map(({ id }) => id));
    await house.crash();
    for (const task of tasks) expect(await house.now(task)).not.toBeNull();
  });

  it('mixes hits and new tasks; items of one key are hits of each other', async () => {
    await house.open();
    const [known] = await many([{ input: 1, idempotencyKey: 'a' }]);
    const tasks = await many([
      { input: 2, idempotencyKey: 'b' },
      { input: 1, idempotencyKey: 'a' },
      { input: 3 },
      { input: 2, idempotencyKey: 'b' },
    ]);
    expect([tasks[1]!.id, tasks[3]!.id]).toEqual([known!.id, tasks[0]!.id]);
    expect(new Set(tasks.map(({ id }) => id)).size).toBe(3);
    expect(await all()).toBe(3);
  });

  it('creates nothing where one item is at fault, and names it', async () => {
    await house.open();
    await many([{ input: 1, idempotencyKey: 'a' }]);
    expect(await refusal([{ input: 1 }, { input: 1, priority: 0.5 }])).toMatchObject({ field: 'items[1].priority' });
    expect(await refusal([{ input: 1 }, { input: 1, waitForSlot: true }])).toMatchObject({ field: 'items[1].waitForSlot' });
    expect(await refusal([{ input: 1 }, { input: 2, idempotencyKey: 'a' }])).toMatchObject({ code: 'IDEMPOTENCY_CONFLICT' });
    const twice = [1, 2].map((input) => ({ input, idempotencyKey: 'b' }));
    expect(await refusal(twice)).toMatchObject({ code: 'IDEMPOTENCY_CONFLICT' });
    expect(await refusal(inputs(1_001))).toMatchObject({ field: 'items' });
    expect(await all()).toBe(1);
    expect(await many([])).toEqual([]);
    expect(await many([{ input: 5, idempotencyKey: 'b' }])).toHaveLength(1); // the key is free
  });

  it.each([
    ['global', { maxTasksPerWindow: 5 }],
    ['user', { maxTasksPerUserWindow: 5 }],
  ])('is admitted all or none by the %s window, and a refusal costs nothing', async (limit, backpressure) => {
    await house.open({ guard: { backpressure } });
    await many(inputs(3));
    expect(await refusal(inputs(3))).toMatchObject({ code: 'BACKPRESSURE', limit });
    expect(await many(inputs(2))).toHaveLength(2);
    expect(await all()).toBe(5);
  });

  it('takes over the keys of ended tasks', async () => {
    await house.open();
    const [old] = await many([{ input: 1, idempotencyKey: 'a' }]);
    await house.runs(old!);
    await house.until(house.system.cancel(old!));
    await house.reaches('cancelled', old!);
    const items = (['never', 'ended', 'never'] as const).map((keyReuse) => ({ input: 1, idempotencyKey: 'a', keyReuse }));
    const tasks = await many(items);
    expect([tasks[0]!.id === old!.id, tasks[1]!.id === old!.id, tasks[2]!.id === tasks[1]!.id]).toEqual([true, false, true]);
  });

  it('never waits for another call that wants the same keys', async () => {
    await house.open();
    const items = ['a', 'b', 'c'].map((idempotencyKey) => ({ input: 1, idempotencyKey }));
    const tasks = await house.until(
      Promise.all([
        house.system.submitMany('work', items),
        house.system.submitMany('work', [...items].reverse()),
        house.system.submit('work', items[1]!),
      ]),
    );
    expect(new Set(tasks.flat().map(({ id }) => id)).size).toBe(3);
  });
});

forEveryEngine('What waits', (house) => {
  describe('for a handler that nobody defines here', () => {
    it('keeps nobody out, and runs once somebody does', async () => {
      await house.open({ guard: { slots: { maxExecutionGlobal: 2 }, backpressure: { maxQueuedSize: 2 } } });
      house.system.defineTask('gone', house.work.definition);
      const tasks: Task[] = [];
      for (const name of ['work', 'work', 'gone', 'gone']) tasks.push(await house.submit({}, name));
      expect(await house.until(codeOf(house.system.submit('work', { input: 1 })))).toBe('BACKPRESSURE');
      await house.crash();
      await house.runs(tasks[0]!);
      await house.runs(tasks[1]!);
      expect(house.system.getStats().tasks).toMatchObject({ running: 2, queued: 0, withoutHandler: 2 });
      expect(await house.until(codeOf(house.system.submit('work', { input: 1 })))).toBe('ok');
      house.system.defineTask('gone', house.work.definition); // now they wait for a slot as well
      expect(house.system.getStats().tasks).toMatchObject({ queued: 3, withoutHandler: 0 });
      expect(await house.until(codeOf(house.system.submit('work', { input: 1 })))).toBe('BACKPRESSURE');
      for (const task of tasks.slice(0, 2)) await house.complete(task);
      await house.runs(tasks[2]!);
    });
  });

  it('is served user by user in turn, and each user is held to their limit', async () => {
    await house.open({ guard: { slots: { maxExecutionGlobal: 2, maxExecutionPerUser: 1 } } });
    const of = (userId: string): Promise<Task> => house.submit({ userId });
    const first = await of('ann');
    await house.runs(first);
    const queue = [await of('ann'), await of('ann'), await of('bob')];
    await house.runs(queue[2]!);
    expect([...house.work.runs.keys()]).toEqual([first.id, queue[2]!.id]);
    await house.complete(queue[2]!);
    await house.pass(200);
    expect([...house.work.runs.keys()]).toEqual([first.id]); // a slot is free, and ann has hers
    await house.complete(first);
    await house.runs(queue[0]!);
    expect(house.work.runs.has(queue[1]!.id)).toBe(false);
  });

  it('of one user runs by priority, and first come first served within one', async () => {
    await house.open({ guard: { slots: { maxExecutionGlobal: 1 } } });
    const first = await house.running();
    const waiting: Task[] = [];
    for (const priority of [5, 0, 5, -1]) waiting.push(await house.submit({ priority }));
    await house.complete(first);
    for (const at of [3, 1, 0, 2]) await house.complete(waiting[at]!);
    expect(house.work.calls.map(({ taskId }) => taskId)).toEqual([first, ...[3, 1, 0, 2].map((at) => waiting[at]!)].map(({ id }) => id));
  });

  it('of one handler is held to what that handler may run at once', async () => {
    await house.open({ guard: { slots: { maxExecutionGlobal: 10 } } });
    house.system.defineTask('narrow', { ...house.work.definition, maxConcurrentExecutions: 2 });
    const tasks: Task[] = [];
    for (let n = 0; n < 5; n++) tasks.push(await house.submit({}, 'narrow'));
    await house.running();
    expect(house.work.runs.size).toBe(3);
    await house.complete(tasks[0]!);
    await house.runs(tasks[2]!);
    expect(tasks.slice(3).some(({ id }) => house.work.runs.has(id))).toBe(false);
  });
});
