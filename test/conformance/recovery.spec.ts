import { expect, it } from '@jest/globals';
import { RetryLaterError } from '../../lib/errors/execution.errors.js';
import type { Task } from '../../lib/contracts/task.interface.js';
import { codeOf, forEveryEngine } from './house.js';

forEveryEngine('A crash', (house) => {
  const typesOf = async (task: Task): Promise<string[]> => (await house.events(task)).map(({ type }) => type);

  it('loses nothing that was acknowledged, whatever state it was in', async () => {
    await house.open({ guard: { slots: { maxExecutionGlobal: 3 } } });
    const completed = await house.complete(await house.running(), { n: 1 });
    const failed = await house.failed();
    const cancelled = await house.submit({ delayMs: 600_000 });
    await house.until(house.system.cancel(cancelled));
    const running = await Promise.all([house.submit(), house.submit(), house.submit()]);
    const waiting = await house.submit({ idempotencyKey: 'k', priority: 3 });
    const delayed = await house.submit({ delayMs: 600_000 });
    for (const task of running) await house.runs(task);
    const before = await house.until(house.system.list({ limit: 100 }));
    expect(before.items).toHaveLength(8);
    await house.crash();
    const after = new Map((await house.until(house.system.list({ limit: 100 }))).items.map((task) => [task.id, task]));
    expect([...after.keys()]).toEqual(before.items.map(({ id }) => id));
    for (const task of [completed, failed]) expect(after.get(task.id)).toEqual(await house.now(task));
    expect(after.get(completed.id)).toMatchObject({ status: 'completed' });
    expect((await house.now(completed))?.result).toEqual({ n: 1 });
    expect(after.get(failed.id)).toMatchObject({ status: 'failed' });
    expect(after.get(cancelled.id)).toMatchObject({ status: 'cancelled' });
    expect(after.get(delayed.id)).toMatchObject({ status: 'created' });
    for (const task of running) await house.complete(task);
    await house.complete(waiting);
    expect(await typesOf(waiting)).toEqual(['created', 'start', 'complete']);
  });

  it('of a run is followed by another one of the same attempt, with a new fence; the old one writes nothing more', async () => {
    await house.open();
    const task = await house.running({ maxAttempts: 1 });
    const { ctx } = house.work.run(task.id);
    await house.until(ctx.progress('half'));
    await house.crash();
    await house.runs(task);
    const again = house.work.run(task.id).ctx;
    expect([again.attempt, again.fence, again.previousEvents.map(({ type }) => type)]).toEqual([
      1,
      2,
      expect.arrayContaining(['progress']),
    ]);
    expect(await house.reaches('running', task)).toMatchObject({ recoveries: 1, attempt: 1, fence: 2 });
    await house.complete(task);
    expect(await typesOf(task)).toEqual(['created', 'start', 'progress', 'recovered', 'start', 'complete']);
  });

  it('is counted until the loop is cut', async () => {
    await house.open({ recovery: { maxRecoveriesPerTask: 2 } });
    const task = await house.running();
    for (const recoveries of [1, 2]) {
      await house.crash();
      await house.runs(task);
      expect(await house.now(task)).toMatchObject({ status: 'running', recoveries });
    }
    await house.crash();
    expect(await house.reaches('failed', task)).toMatchObject({ error: { code: 'CRASH_LOOP' } });
    expect(house.work.calls.map(({ fence }) => fence)).toEqual([1, 2, 3]);
  });

  it('with maxRecoveriesPerTask 0 fails the task instead of running it again', async () => {
    await house.open({ recovery: { maxRecoveriesPerTask: 0 } });
    const task = await house.running();
    await house.crash();
    await house.reaches('failed', task);
    expect(house.work.calls).toHaveLength(1);
  });

  it.each([
    [false, 'wrong file'],
    [true, 'wrong file'],
    [false, undefined],
  ])(
    'after a cancel request was durable ends the task cancelled, its handler not called again (at rest: %p; for its reason: %p)',
    async (isAtRest, reason) => {
      await house.open();
      const task = await house.running();
      house.work.run(task.id).ctx.signal.addEventListener('abort', () => undefined);
      const { runs } = house.work;
      const run = runs.get(task.id)!;
      runs.delete(task.id); // nobody lets it end
      await house.until(house.system.cancel(task, reason === undefined ? {} : { reason }));
      if (isAtRest) await house.engine.atRest();
      await house.crash();
      const after = await house.reaches('cancelled', task);
      expect(after.cancelReason).toBe(reason);
      expect('cancelReason' in after).toBe(reason !== undefined);
      expect((await house.events(task)).at(-1)!.payload).toEqual(reason === undefined ? undefined : { reason });
      expect(house.work.calls).toHaveLength(1);
      run.resolve('of the dead process');
    },
  );

  it('leaves a backoff, and a time that a handler chose, as they were', async () => {
    await house.open();
    const retried = await house.running({ maxAttempts: 2 });
    house.work.run(retried.id).reject(new Error('no'));
    const put = await house.running({ maxAttempts: 1 });
    house.work.run(put.id).reject(new RetryLaterError({ retryAfterMs: 2_000, countsAsAttempt: false }));
    await house.reaches('created', retried);
    await house.reaches('created', put);
    await house.crash();
    for (const [task, waited] of [
      [retried, 1_000],
      [put, 2_000],
    ] as const) {
      await house.runs(task);
      const events = await house.events(task, { enough: 4 });
      expect(events.map(({ type }) => type)).toEqual(['created', 'start', 'retry', 'start']);
      expect(events[3]!.timestamp - events[2]!.timestamp).toBeGreaterThanOrEqual(waited);
    }
    expect((await house.now(put))?.postponements).toBe(1);
  });

  it('after a retry by hand keeps it', async () => {
    await house.open();
    const task = await house.failed();
    await house.until(house.system.retry(task));
    await house.crash();
    expect(await house.complete(task)).toMatchObject({ life: 2, attempt: 1 });
  });

  it('leaves no slot, no key and no place in a window taken', async () => {
    await house.open({ guard: { slots: { maxExecutionGlobal: 2, maxExecutionPerUser: 2 } } });
    const tasks = [await house.running({ userId: 'ann' }), await house.running({ userId: 'ann' })];
    await house.crash();
    for (const task of tasks) await house.complete(task);
    expect(house.system.getStats()).toMatchObject({ guard: { slotsInUse: 0 }, tasks: { queued: 0, running: 0 } });
    await house.complete(await house.running({ userId: 'ann' }));
  });
});

forEveryEngine('A shutdown', (house) => {
  const SOON = { shutdown: { timeoutMs: 200, forceKillTimeoutMs: 200 } };

  it('lets running tasks finish, and refuses new ones', async () => {
    await house.open({ shutdown: { timeoutMs: 20_000 } });
    const task = await house.running();
    const stopping = house.system.shutdown();
    expect(await house.until(codeOf(house.system.submit('work', { input: 2 })))).toBe('SHUTTING_DOWN');
    house.work.run(task.id).resolve('in time');
    await house.until(stopping);
    await house.engine.stop();
    await house.engine.restart();
    expect(await house.now(task)).toMatchObject({ status: 'completed', result: 'in time' });
  });

  it('burns no attempt of what it could not wait for, and the next process does not take it for a crash', async () => {
    await house.open(SOON);
    const task = await house.running({ maxAttempts: 1 });
    await house.engine.stop();
    house.work.forget();
    await house.engine.restart();
    await house.runs(task);
    expect(await house.now(task)).toMatchObject({ attempt: 1, recoveries: 0, fence: 2 });
    await house.complete(task);
    const events = await house.events(task);
    expect(events.map(({ type }) => type)).toEqual(['created', 'start', 'retry', 'start', 'complete']);
    expect(events[2]!.payload).toMatchObject({ reason: 'shutdown' });
  });

  it.each([0, 1, 2, 3, 5, 8, 13, 21])('%i turns after submits were made refuses them, or the next process runs them', async (turns) => {
    await house.open(SOON);
    const submits = [1, 2, 3].map((input) => house.system.submit('work', { input }).catch((error: { code: string }) => error.code));
    for (let turn = 0; turn < turns; turn++) await Promise.resolve();
    await house.engine.stop();
    const answers = await Promise.all(submits);
    const accepted = answers.filter((answer) => typeof answer !== 'string');
    expect(answers.filter((answer) => typeof answer === 'string').every((code) => code === 'SHUTTING_DOWN')).toBe(true);
    house.work.forget();
    house.work.isAutomatic = true;
    await house.engine.restart();
    for (const { id } of accepted) {
      await house.reaches('completed', { id });
      expect((await house.events({ id })).map(({ type }) => type)).not.toContain('recovered');
    }
  });

  it('refuses submits that still wait for a slot: nothing is created', async () => {
    await house.open({ guard: { slots: { maxExecutionGlobal: 1 } }, shutdown: { timeoutMs: 2_000, forceKillTimeoutMs: 200 } });
    const running = await house.running();
    const waiting = Promise.all(Array.from({ length: 20 }, () => codeOf(house.system.submit('work', { input: 2, waitForSlot: true }))));
    await house.pass(20);
    const stopping = house.engine.stop();
    house.work.runs.get(running.id)?.resolve('done');
    await house.until(stopping);
    expect(new Set(await waiting)).toEqual(new Set(['SHUTTING_DOWN']));
    await house.engine.restart();
    expect((await house.until(house.system.list())).items.map(({ id }) => id)).toEqual([running.id]);
  });
});
