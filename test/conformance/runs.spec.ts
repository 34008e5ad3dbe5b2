import { expect, it } from '@jest/globals';
import { NonRetryableError, RetryLaterError } from '../../lib/errors/execution.errors.js';
import type { Task } from '../../lib/contracts/task.interface.js';
import { HandDrivenWork } from '../support/doubles/hand-driven-work.js';
import { codeOf, forEveryEngine } from './house.js';

const EXPIRED = { status: 'failed', attempt: 1, fence: 0, error: { name: 'TaskExpiredError', code: 'TASK_EXPIRED', retryable: false } };

forEveryEngine('A run', (house) => {
  const typesOf = async (task: Task): Promise<string[]> => (await house.events(task)).map(({ type }) => type);

  it('ends with what its handler returned, for everybody who waits', async () => {
    await house.open();
    const task = await house.running({ input: { n: 20 } });
    const results = [house.system.result(task), house.system.result(task)];
    house.work.run(task.id).resolve({ n: 40 });
    expect(await house.until(Promise.all(results))).toEqual([{ n: 40 }, { n: 40 }]);
    expect(await house.now(task)).toMatchObject({ status: 'completed', result: { n: 40 }, fence: 1, attempt: 1 });
    expect(await typesOf(task)).toEqual(['created', 'start', 'complete']);
  });

  it('that fails is followed by the next attempt after its backoff, and the last failure is the end', async () => {
    await house.open();
    const task = await house.running({ maxAttempts: 2 });
    house.work.run(task.id).reject(new TypeError('first'));
    const between = await house.reaches('created', task);
    expect(between).toMatchObject({ attempt: 2, error: { name: 'TypeError', message: 'first' } });
    await house.runs(task);
    expect(house.work.run(task.id).ctx).toMatchObject({ attempt: 2, fence: 2 });
    house.work.run(task.id).reject(new Error('second'));
    expect(await house.reaches('failed', task)).toMatchObject({ attempt: 2, error: { message: 'second' } });
    await expect(house.until(house.system.result(task))).rejects.toMatchObject({ name: 'TaskFailedError' });
    const events = await house.events(task);
    expect(events.map(({ type }) => type)).toEqual(['created', 'start', 'retry', 'start', 'error']);
    const [failedAt, startedAt] = [events[2]!.timestamp, events[3]!.timestamp];
    expect(startedAt - failedAt).toBeGreaterThanOrEqual(1_000);
  });

  it('whose error says that no other attempt would fare better is the last', async () => {
    await house.open();
    const task = await house.running({ maxAttempts: 5 });
    house.work.run(task.id).reject(new NonRetryableError('card declined'));
    expect(await house.reaches('failed', task)).toMatchObject({ attempt: 1, error: { message: 'card declined', retryable: false } });
  });

  it('that says when to come again burns no attempt where it says so, and comes no earlier', async () => {
    await house.open();
    const task = await house.running({ maxAttempts: 1 });
    for (let time = 1; time <= 2; time++) {
      house.work.run(task.id).reject(new RetryLaterError({ retryAfterMs: 700, countsAsAttempt: false, message: '429' }));
      expect(await house.reaches('created', task)).toMatchObject({ attempt: 1, postponements: time, error: { message: '429' } });
      await house.runs(task);
    }
    await house.complete(task);
    const events = await house.events(task);
    const retries = events.flatMap((event, at) => (event.type === 'retry' ? [events[at + 1]!.timestamp - event.timestamp] : []));
    expect(retries).toHaveLength(2);
    for (const waited of retries) expect(waited).toBeGreaterThanOrEqual(700);
  });

  it('that outlasts its time is ended, and its signal says so', async () => {
    await house.open();
    const task = await house.running({ timeoutMs: 300, maxAttempts: 1 });
    const { signal } = house.work.run(task.id).ctx;
    expect(await house.reaches('failed', task)).toMatchObject({ error: { name: 'TaskTimeoutError' } });
    expect([signal.aborted, (signal.reason as Error).name]).toEqual([true, 'TaskTimeoutError']);
  });

  it('writes nothing any more once its task has ended', async () => {
    await house.open();
    const task = await house.running();
    const { ctx } = house.work.run(task.id);
    await house.complete(task);
    expect(await house.until(codeOf(ctx.progress(1)))).not.toBe('ok');
    expect(await typesOf(task)).toEqual(['created', 'start', 'complete']);
  });

  it('sees the events of the attempts before it', async () => {
    await house.open();
    const task = await house.running({ maxAttempts: 2 });
    await house.until(house.work.run(task.id).ctx.progress({ page: 3 }));
    house.work.run(task.id).reject(new Error('once'));
    await house.runs(task);
    const { previousEvents } = house.work.run(task.id).ctx;
    expect(previousEvents.map(({ type }) => type)).toEqual(expect.arrayContaining(['progress', 'retry']));
    expect(previousEvents.find(({ type }) => type === 'progress')?.payload).toEqual({ page: 3 });
  });

  it('shows its newest progress in the task, until the next life', async () => {
    await house.open();
    const task = await house.running({ maxAttempts: 1 });
    await house.until(house.work.run(task.id).ctx.progress({ percent: 10 }));
    await house.until(house.work.run(task.id).ctx.progress({ percent: 20 }));
    expect((await house.now(task))?.progress).toEqual({ percent: 20 });
    await house.engine.atRest();
    expect((await house.now(task))?.progress).toEqual({ percent: 20 });
    house.work.run(task.id).reject(new Error('no'));
    await house.reaches('failed', task);
    await house.until(house.system.retry(task));
    expect((await house.now(task))?.progress).toBeUndefined();
  });
});

forEveryEngine('A task for later', (house) => {
  it('starts when its time has come, not before, also after a crash', async () => {
    await house.open();
    const task = await house.submit({ delayMs: 1_500 });
    expect(await house.now(task)).toMatchObject({ status: 'created' });
    await house.crash();
    await house.runs(task);
    const [created, start] = await house.events(task, { enough: 2 });
    expect(start!.timestamp - created!.timestamp).toBeGreaterThanOrEqual(1_500);
  });

  it('that expires before it starts ends as failed, and its handler is never called', async () => {
    await house.open({ guard: { slots: { maxExecutionGlobal: 1 } } });
    const running = await house.running({ expiresInMs: 5_000 });
    const waits = await house.submit({ expiresInMs: 300 });
    expect(waits.expiresAt).toEqual(new Date(waits.createdAt.getTime() + 300));
    const delayed = await house.submit({ delayMs: 600_000, expiresInMs: 300 });
    const outcome = house.system.result(waits).catch((error: { task: Task }) => error.task.error?.name);
    expect(await house.until(outcome)).toBe('TaskExpiredError');
    expect(await house.reaches('failed', waits)).toMatchObject(EXPIRED);
    expect(await house.reaches('failed', delayed)).toMatchObject(EXPIRED);
    await house.complete(running);
    expect(house.work.calls.map(({ taskId }) => taskId)).toEqual([running.id]);
  });

  it('whose expiry passed while no process ran is not run by the next one', async () => {
    await house.open({ executor: { enabled: false } });
    const task = await house.submit({ expiresInMs: 200 });
    await house.pass(300);
    await house.engine.crash();
    await house.engine.restart({});
    expect(await house.reaches('failed', task)).toMatchObject(EXPIRED);
    expect(house.work.calls).toEqual([]);
  });

  it('that has started in time goes on, is retried and recovered, and a retry by hand does not expire', async () => {
    await house.open();
    const task = await house.running({ expiresInMs: 500 });
    house.work.run(task.id).reject(new Error('first'));
    await house.runs(task);
    await house.crash();
    await house.complete(task, 'late');
    const late = await house.submit({ delayMs: 600_000, expiresInMs: 200 });
    await house.reaches('failed', late);
    expect(await house.until(house.system.retry(late))).toMatchObject({ status: 'created', expiresAt: null });
    await house.complete(late);
  });

  it('that was cancelled does not expire', async () => {
    await house.open();
    const task = await house.submit({ delayMs: 600_000, expiresInMs: 200 });
    await house.until(house.system.cancel(task));
    await house.pass(500);
    expect(await house.now(task)).toMatchObject({ status: 'cancelled' });
  });
});

forEveryEngine('A cancel', (house) => {
  it('of a task that waits is its end; its handler is never called', async () => {
    await house.open({ guard: { slots: { maxExecutionGlobal: 1 } } });
    const running = await house.running();
    for (const more of [{}, { delayMs: 600_000 }]) {
      const task = await house.submit(more);
      expect((await house.until(house.system.cancel(task, { reason: 'changed my mind' }))).status).toBe('cancelled');
      expect((await house.events(task)).at(-1)).toMatchObject({ type: 'cancelled', payload: { reason: 'changed my mind' } });
      await expect(house.until(house.system.result(task))).rejects.toMatchObject({ name: 'TaskCancelledError' });
    }
    await house.complete(running);
    await house.pass(300);
    expect(house.work.calls).toHaveLength(1);
  });

  it('of a running task fires its signal, and it ends cancelled whatever its handler returns', async () => {
    const stubborn = new HandDrivenWork();
    await house.open({}, stubborn);
    const task = await house.running();
    const { ctx, resolve } = house.work.run(task.id);
    ctx.signal.addEventListener('abort', () => resolve('finished all the same'), { once: true });
    expect(await house.until(house.system.cancel(task))).toMatchObject({ status: 'running', cancelRequestedAt: expect.any(Date) });
    const after = await house.reaches('cancelled', task);
    expect(ctx.signal.aborted).toBe(true);
    expect([after.result, 'cancelReason' in after]).toEqual([undefined, false]);
  });

  it('of a task between two attempts is its end', async () => {
    await house.open();
    const task = await house.running({ maxAttempts: 2 });
    house.work.run(task.id).reject(new Error('once'));
    await house.reaches('created', task);
    await house.until(house.system.cancel(task));
    await house.reaches('cancelled', task);
    await house.pass(1_500);
    expect(house.work.calls).toHaveLength(1);
  });

  it('of a task that completed or failed is a conflict; twice is once', async () => {
    await house.open();
    const done = await house.complete(await house.running());
    const failed = await house.failed();
    for (const task of [done, failed]) expect(await house.until(codeOf(house.system.cancel(task)))).toBe('TASK_ENDED');
    const task = await house.submit({ delayMs: 600_000 });
    for (let time = 0; time < 2; time++) expect((await house.until(house.system.cancel(task))).status).toBe('cancelled');
  });

  it('in the same moment as the end of the run: one of them wins, and all agree', async () => {
    await house.open();
    for (let turn = 0; turn < 6; turn++) {
      const task = await house.running();
      const asked = codeOf(house.system.cancel(task));
      for (let n = 0; n < turn; n++) await Promise.resolve();
      house.work.runs.get(task.id)?.resolve('done');
      const answer = await house.until(asked);
      const ended = await house.seen(
        () => house.system.get(task),
        (found) => found!.status !== 'running',
      );
      expect([answer, ended?.status]).toEqual(answer === 'ok' ? ['ok', 'cancelled'] : ['TASK_ENDED', 'completed']);
      const terminals = (await house.events(task))
        .map(({ type }) => type)
        .filter((type) => ['complete', 'error', 'cancelled'].includes(type));
      expect(terminals).toHaveLength(1);
    }
  });
});
