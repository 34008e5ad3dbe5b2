import { describe, expect, it, jest } from '@jest/globals';
import type { TaskContext } from '../../../lib/contracts/task-handler.interface.js';
import type { TaskId } from '../../../lib/contracts/ids.js';
import { ShuttingDownError } from '../../../lib/errors/admission.errors.js';
import { TaskCancelledError, TaskTimeoutError } from '../../../lib/errors/execution.errors.js';
import { EventLogError, RepositoryError } from '../../../lib/errors/storage.errors.js';
import { Deferred } from '../../../lib/primitives/deferred.js';
import { ExecutorHarness } from '../../support/doubles/executor-harness.js';

interface Running {
  readonly h: ExecutorHarness;
  readonly id: TaskId;
  /** Settles what the handler returned. */
  readonly work: Deferred<unknown>;
  readonly ctx: TaskContext;
  readonly handle: jest.Mock<(input: unknown, ctx: TaskContext) => Promise<unknown>>;
}

/** A task whose handler waits to be told its end. */
async function running(options: { maxAttempts?: number; timeoutMs?: number } = {}): Promise<Running> {
  const h = new ExecutorHarness();
  const works: Deferred<unknown>[] = [];
  let ctx!: TaskContext;
  const handle = jest.fn((_input: unknown, context: TaskContext) => {
    ctx ??= context;
    works.push(new Deferred<unknown>());
    return works.at(-1)!.promise;
  });
  h.define('task', handle, { retry: { jitter: false } });
  h.executor.start();
  const id = await h.submit('task', {}, options);
  await h.clock.run(0);
  expect(handle).toHaveBeenCalledTimes(1);
  return { h, id, work: works[0]!, ctx, handle };
}

/** Everything of a run is given back. */
function expectAtRest({ h, id }: Running): void {
  expect([h.executor.running, h.source.slotsInUse, h.facts.holds.get(id)]).toEqual([0, 0, 0]);
  expect(h.errors).toEqual([]);
}

describe('Cancel against complete', () => {
  it('ends cancelled when the request is first, whatever the handler returns', async () => {
    const run = await running();
    expect(await run.h.cancel(run.id, 'changed my mind')).toBe('ok');
    expect(TaskCancelledError.is(run.ctx.signal.reason)).toBe(true);
    run.work.resolve('done anyway');
    await run.h.clock.run(0);
    expect(run.h.facts.types(run.id)).toEqual(['created', 'start', 'cancel', 'cancelled']);
    expect(run.h.facts.body(run.id, 'cancelled')).toEqual({ reason: 'changed my mind' });
    expect(run.h.executor.stats.cancelled).toBe(1);
    expectAtRest(run);
  });

  it('ends cancelled when the handler throws because of it', async () => {
    const run = await running();
    await run.h.cancel(run.id);
    run.work.reject(run.ctx.signal.reason);
    await run.h.clock.run(0);
    expect(run.h.facts.state(run.id).status).toBe('cancelled');
    expectAtRest(run);
  });

  it('ends cancelled when both are on their way to the disk and the request was first', async () => {
    const run = await running();
    run.h.facts.isManual = true;
    const cancelled = run.h.cancel(run.id);
    run.work.resolve('done');
    await run.h.settle();
    run.h.facts.sync();
    expect(await cancelled).toBe('ok');
    await run.h.clock.run(0);
    run.h.facts.sync();
    await run.h.clock.run(0);
    expect(run.h.facts.types(run.id)).toEqual(['created', 'start', 'cancel', 'cancelled']);
    expectAtRest(run);
  });

  it('completes when the result is first; the request is refused', async () => {
    const run = await running();
    run.h.facts.isManual = true;
    run.work.resolve('done');
    await run.h.settle();
    expect(await run.h.cancel(run.id)).toBe('fenced');
    run.h.facts.sync();
    await run.h.clock.run(0);
    expect(run.h.facts.types(run.id)).toEqual(['created', 'start', 'complete']);
    expectAtRest(run);
  });

  it('becomes what the run returned when the log refused request and end together; the handler is not called again', async () => {
    const run = await running();
    run.h.facts.isManual = true;
    run.h.facts.refuse('cancel');
    const cancelled = run.h.cancel(run.id);
    run.work.resolve('done');
    await run.h.settle();
    run.h.facts.sync(); // `cancel` and the `cancelled` behind it
    expect(await cancelled).toBe('refused');
    expect(run.h.facts.refused).toBe(1);
    run.h.facts.isManual = false;
    await run.h.clock.run(0);
    run.h.facts.sync();
    await run.h.clock.run(0);
    expect(run.h.facts.types(run.id)).toEqual(['created', 'start', 'complete']);
    expect(run.handle).toHaveBeenCalledTimes(1);
    expectAtRest(run);
  });

  it('abandons a handler that ignores it, after its grace time', async () => {
    const run = await running();
    await run.h.cancel(run.id);
    await run.h.clock.run(4999);
    expect(run.h.facts.state(run.id).status).toBe('running');
    await run.h.clock.run(1);
    expect(run.h.facts.state(run.id).status).toBe('cancelled');
    expect(run.h.executor.stats.abandoned).toBe(1);
    expectAtRest(run);
  });

  it('does not call the handler when the request came while the start was on its way', async () => {
    const h = new ExecutorHarness();
    const handle = jest.fn(async () => undefined);
    h.define('task', handle);
    h.executor.start();
    h.facts.isManual = true;
    const id = await h.submit('task');
    await h.settle();
    const cancelled = h.facts.append([{ type: 'cancel', taskId: id, data: { reason: 'at once' }, expect: { status: ['running'] } }]);
    h.facts.isManual = false;
    h.facts.sync();
    await cancelled;
    await h.clock.run(0);
    expect(handle).not.toHaveBeenCalled();
    expect(h.facts.types(id)).toEqual(['created', 'start', 'cancel', 'cancelled']);
    expect(h.facts.body(id, 'cancelled')).toEqual({ reason: 'at once' });
  });

  it('ends cancelled when the queued task was cancelled before its start; its slot goes back', async () => {
    const h = new ExecutorHarness();
    const handle = jest.fn(async () => undefined);
    h.define('task', handle);
    h.executor.start();
    h.facts.isManual = true;
    const id = await h.submit('task');
    const cancelled = h.facts.append([{ type: 'cancelled', taskId: id, expect: { status: ['created'] } }]);
    await h.settle();
    h.facts.isManual = false;
    h.facts.sync();
    await cancelled;
    await h.clock.run(0);
    expect(handle).not.toHaveBeenCalled();
    expect(h.facts.types(id)).toEqual(['created', 'cancelled']);
    expect(h.source.slotsInUse).toBe(0);
  });
});

describe('Timeout against complete', () => {
  it('is a failed attempt, whatever comes after the signal', async () => {
    const run = await running({ timeoutMs: 1000 });
    await run.h.clock.run(1000);
    expect(TaskTimeoutError.is(run.ctx.signal.reason)).toBe(true);
    run.work.resolve('too late');
    await run.h.clock.run(0);
    expect(run.h.facts.types(run.id)).toEqual(['created', 'start', 'retry']);
    expect(run.h.facts.body(run.id, 'retry')).toMatchObject({ reason: 'failed', delayMs: 1000, error: { code: 'TASK_TIMEOUT' } });
  });

  it('completes when the handler returned before, though the log takes longer than the timeout', async () => {
    const run = await running({ timeoutMs: 1000 });
    run.h.facts.isManual = true;
    run.work.resolve('in time');
    await run.h.clock.run(5000);
    expect(run.ctx.signal.aborted).toBe(false);
    run.h.facts.isManual = false;
    run.h.facts.sync();
    await run.h.clock.run(0);
    expect(run.h.facts.types(run.id).filter((type) => type !== 'heartbeat')).toEqual(['created', 'start', 'complete']);
    expectAtRest(run);
  });

  it('ends cancelled when a cancel request follows the timeout', async () => {
    const run = await running({ timeoutMs: 1000 });
    await run.h.clock.run(1000);
    await run.h.cancel(run.id);
    run.work.resolve('whatever');
    await run.h.clock.run(0);
    expect(run.h.facts.state(run.id).status).toBe('cancelled');
    expectAtRest(run);
  });
});

describe('Abandoned run against late writes', () => {
  it('writes nothing more, frees its slot, and the next run is the only one that counts', async () => {
    const run = await running({ timeoutMs: 1000 });
    const { h, id } = run;
    await h.clock.run(6000);
    expect(h.executor.stats.abandoned).toBe(1);
    expectAtRest(run);
    await expect(run.ctx.progress('late')).rejects.toMatchObject({ code: 'TASK_ENDED' });
    await h.clock.run(1100);
    expect(run.handle).toHaveBeenCalledTimes(2);
    expect(h.facts.state(id)).toMatchObject({ status: 'running', fence: 2, attempt: 2 });
    run.work.resolve('late result');
    void run.ctx.progress('later'); // ignored on purpose: must not end the process
    await h.clock.run(0);
    expect(h.facts.state(id)).toMatchObject({ status: 'running', fence: 2 });
    expect(h.facts.types(id).filter((type) => type !== 'heartbeat')).toEqual(['created', 'start', 'retry', 'start']);
    expect(h.executor.stats.lateWrites).toBe(3);
  });

  it('is fenced when another run has taken its place, and its result is dropped', async () => {
    const run = await running();
    const { h, id } = run;
    await h.facts.append([{ type: 'recovered', taskId: id, data: { recoveries: 1 } }]);
    await h.facts.append([{ type: 'start', taskId: id }]);
    await expect(run.ctx.progress('stale')).rejects.toMatchObject({ code: 'TASK_ENDED' });
    expect(run.ctx.signal.aborted).toBe(true);
    run.work.resolve('stale');
    await h.clock.run(0);
    expect(h.facts.types(id)).toEqual(['created', 'start', 'recovered', 'start']);
    expectAtRest(run);
  });

  it('is fenced at its result when it wrote nothing before', async () => {
    const run = await running();
    const { h, id } = run;
    await h.facts.append([{ type: 'recovered', taskId: id, data: { recoveries: 1 } }]);
    run.work.resolve('stale');
    await h.clock.run(0);
    expect(h.facts.types(id)).toEqual(['created', 'start', 'recovered']);
    expect(h.executor.stats.lateWrites).toBe(1);
    expectAtRest(run);
  });
});

describe('Retry against cancel', () => {
  it('ends cancelled when the request is first', async () => {
    const run = await running();
    run.h.facts.isManual = true;
    const cancelled = run.h.cancel(run.id);
    run.work.reject(new Error('down'));
    await run.h.settle();
    run.h.facts.isManual = false;
    run.h.facts.sync();
    await cancelled;
    await run.h.clock.run(0);
    run.h.facts.sync();
    await run.h.clock.run(0);
    expect(run.h.facts.types(run.id)).toEqual(['created', 'start', 'cancel', 'cancelled']);
    expectAtRest(run);
  });

  it('waits for its retry when the failure is first; the request to the run is refused', async () => {
    const run = await running();
    run.h.facts.isManual = true;
    run.work.reject(new Error('down'));
    await run.h.settle();
    expect(await run.h.cancel(run.id)).toBe('fenced');
    run.h.facts.isManual = false;
    run.h.facts.sync();
    await run.h.clock.run(0);
    expect(run.h.facts.types(run.id)).toEqual(['created', 'start', 'retry']);
    expect(run.h.feed.withdraw(run.id)).toBe(true);
    expectAtRest(run);
  });
});

describe('Shutdown against complete', () => {
  it('lets a run finish in its time', async () => {
    const run = await running();
    const stopped = run.h.executor.stop();
    await run.h.clock.run(20_000);
    expect(run.ctx.signal.aborted).toBe(false);
    run.work.resolve('done');
    await run.h.clock.run(0);
    await stopped;
    expect(run.h.facts.state(run.id).status).toBe('completed');
    expect(run.h.clock.timers).toBe(0);
    expectAtRest(run);
  });

  it('completes with what is returned after the signal', async () => {
    const run = await running();
    const stopped = run.h.executor.stop({ timeoutMs: 1000 });
    await run.h.clock.run(1000);
    expect(ShuttingDownError.is(run.ctx.signal.reason)).toBe(true);
    run.work.resolve('saved');
    await run.h.clock.run(0);
    await stopped;
    expect(run.h.facts.body(run.id, 'complete')).toEqual({ result: 'saved' });
    expectAtRest(run);
  });

  it.each([
    ['throws', true],
    ['is silent', false],
  ])('releases a run that %s after the signal, without burning an attempt', async (_label, throws) => {
    const run = await running();
    const stopped = run.h.executor.stop({ force: true });
    await run.h.clock.run(0);
    if (throws) run.work.reject(new Error('aborted'));
    await run.h.clock.run(throws ? 0 : 5000);
    await stopped;
    expect(run.h.facts.types(run.id).filter((type) => type !== 'heartbeat')).toEqual(['created', 'start', 'retry']);
    expect(run.h.facts.state(run.id)).toMatchObject({ status: 'created', attempt: 1, resume: 'shutdown' });
    expect(run.h.source.items).toEqual([]);
    expect(run.h.executor.stats.released).toBe(1);
    expectAtRest(run);
  });

  it('ends even when the log takes nothing; the task is found running at the next start', async () => {
    const run = await running();
    run.h.facts.setFull('all');
    run.work.resolve('done');
    await run.h.settle();
    const stopped = run.h.executor.stop({ timeoutMs: 1000 });
    await run.h.clock.run(11_000);
    await stopped;
    expect(run.h.facts.state(run.id).status).toBe('running');
    run.h.facts.setFull('none');
    await run.h.clock.run(0);
    expect(run.h.facts.types(run.id)).toEqual(['created', 'start']);
  });

  it('is the same twice, starts nothing more, and reserves nothing', async () => {
    const run = await running();
    const first = run.h.executor.stop({ timeoutMs: 1000 });
    expect(run.h.executor.stop()).toBe(first);
    await run.h.submit('task');
    expect(run.h.feed.reserve('task', null)).toBeNull();
    run.work.resolve(1);
    await run.h.clock.run(1000);
    await first;
    expect(run.handle).toHaveBeenCalledTimes(1);
    expect(run.h.source.items.length).toBe(1);
  });

  it('gives a start up that waits for room in the log, without waiting for it', async () => {
    const h = new ExecutorHarness();
    const handle = jest.fn(async () => undefined);
    h.define('task', handle);
    h.executor.start();
    const id = await h.submit('task');
    h.facts.setFull('all'); // before the queue is looked at
    await h.settle();
    expect([h.facts.refused, h.source.slotsInUse]).toEqual([1, 1]);
    const stopped = h.executor.stop();
    await h.settle();
    await stopped;
    expect(handle).not.toHaveBeenCalled();
    expect(h.facts.types(id)).toEqual(['created']);
    expect(h.source.slotsInUse).toBe(0);
  });

  it('releases a task whose start becomes durable after the signals were fired, without calling its handler', async () => {
    const h = new ExecutorHarness();
    const handle = jest.fn(async () => undefined);
    h.define('task', handle);
    h.executor.start();
    h.facts.isManual = true;
    const id = await h.submit('task');
    await h.settle();
    const stopped = h.executor.stop({ force: true });
    await h.settle();
    h.facts.isManual = false;
    h.facts.sync();
    await h.clock.run(0);
    await stopped;
    expect(handle).not.toHaveBeenCalled();
    expect(h.facts.types(id)).toEqual(['created', 'start', 'retry']);
    expect(h.facts.state(id)).toMatchObject({ resume: 'shutdown', attempt: 1 });
  });
});

describe('A full log', () => {
  const full = async (run: Running): Promise<void> => {
    run.h.facts.setFull('all');
    await run.h.settle();
  };
  const outcomes = [
    ['complete', (run: Running) => run.work.resolve('done'), {}],
    ['retry', (run: Running) => run.work.reject(new Error('down')), {}],
    ['error', (run: Running) => run.work.reject(new Error('down')), { maxAttempts: 1 }],
  ] as const;

  it.each(outcomes)('keeps %s with its run, slot held, until there is room', async (type, end, options) => {
    const run = await running(options);
    await full(run);
    end(run);
    await run.h.clock.run(0);
    expect(run.h.facts.refused).toBe(1);
    expect([run.h.executor.running, run.h.source.slotsInUse]).toEqual([1, 1]);
    run.h.facts.setFull('none');
    await run.h.clock.run(0);
    expect(run.h.facts.types(run.id)).toEqual(['created', 'start', type]);
    expect(run.handle).toHaveBeenCalledTimes(1);
    expectAtRest(run);
  });

  it('keeps cancelled with its run, when the request was durable', async () => {
    const run = await running();
    await run.h.cancel(run.id);
    await full(run);
    run.work.resolve('done');
    await run.h.clock.run(0);
    expect(run.h.facts.refused).toBe(1);
    run.h.facts.setFull('none');
    await run.h.clock.run(0);
    expect(run.h.facts.types(run.id)).toEqual(['created', 'start', 'cancel', 'cancelled']);
    expectAtRest(run);
  });

  it('decides again: a result that had no room becomes cancelled when a request gets in meanwhile', async () => {
    const run = await running();
    await full(run);
    run.work.resolve('done');
    await run.h.clock.run(0);
    expect(run.h.facts.refused).toBe(1);
    run.h.facts.setFull('none');
    const cancelled = run.h.cancel(run.id); // in the same turn, so before the run looks again
    await run.h.clock.run(0);
    expect(await cancelled).toBe('ok');
    expect(run.h.facts.types(run.id)).toEqual(['created', 'start', 'cancel', 'cancelled']);
    expect(run.handle).toHaveBeenCalledTimes(1);
    expectAtRest(run);
  });

  it('keeps a start with its run, slot held, and calls the handler once', async () => {
    const h = new ExecutorHarness();
    const handle = jest.fn(async () => 'done');
    h.define('task', handle);
    h.facts.refuse('start', 2);
    h.executor.start();
    const id = await h.submit('task');
    await h.clock.run(0);
    expect(h.facts.refused).toBe(2);
    expect(handle).toHaveBeenCalledTimes(1);
    expect(h.facts.types(id)).toEqual(['created', 'start', 'complete']);
    expect(h.source.slotsInUse).toBe(0);
  });

  it('lets go of a run when it fails while the end waits', async () => {
    const run = await running();
    await full(run);
    run.work.resolve('done');
    await run.h.clock.run(0);
    run.h.facts.fail();
    run.h.news.halt();
    await run.h.clock.run(0);
    expect(run.h.facts.types(run.id)).toEqual(['created', 'start']);
    expectAtRest(run);
  });
});

describe('A failed log', () => {
  it('fires the signals of running tasks; nothing is written, nothing is started', async () => {
    const run = await running();
    run.h.facts.fail();
    run.h.news.halt();
    expect(EventLogError.is(run.ctx.signal.reason)).toBe(true);
    await expect(run.ctx.progress(1)).rejects.toBeDefined();
    run.work.resolve('done');
    await run.h.clock.run(0);
    expect(run.h.facts.types(run.id)).toEqual(['created', 'start']);
    expect(run.h.feed.reserve('task', null)).toBeNull();
    expectAtRest(run);
  });

  it('is noticed by the run itself when its progress is refused', async () => {
    const run = await running();
    run.h.facts.fail();
    await expect(run.ctx.progress(1)).rejects.toMatchObject({ state: 'failed' });
    expect(EventLogError.is(run.ctx.signal.reason)).toBe(true);
    run.work.reject(new Error('stopped'));
    await run.h.clock.run(0);
    expect(run.h.facts.types(run.id)).toEqual(['created', 'start']);
    expectAtRest(run);
  });
});

describe('A task that another writer shares', () => {
  it('ends cancelled when the request was made elsewhere while the handler ran, though nothing told this process', async () => {
    const run = await running();
    run.h.facts.isShared = true;
    run.h.facts.writeElsewhere({ type: 'cancel', taskId: run.id, data: { reason: 'from another node' } });
    run.work.resolve('done');
    await run.h.clock.run(0);
    expect(run.h.facts.types(run.id)).toEqual(['created', 'start', 'cancel', 'cancelled']);
    expect(run.h.facts.body(run.id, 'cancelled')).toEqual({ reason: 'from another node' });
    expectAtRest(run);
  });

  it('hears of a request that was made elsewhere: its signal fires, and it ends cancelled whatever the handler returns', async () => {
    const run = await running();
    run.h.facts.isShared = true;
    run.h.facts.writeElsewhere({ type: 'cancel', taskId: run.id, data: { reason: 'from another node' } }, true);
    await run.h.settle();
    expect(run.ctx.signal.reason).toMatchObject({ code: 'TASK_CANCELLED', task: { id: run.id, cancelReason: 'from another node' } });
    run.work.resolve('done');
    await run.h.clock.run(0);
    expect(run.h.facts.types(run.id)).toEqual(['created', 'start', 'cancel', 'cancelled']);
    expectAtRest(run);
  });

  it('is written to no more by a run that is lost: its signal fires, its slot is free again, and the next task starts', async () => {
    const run = await running();
    const reason = new Error('The lease ended.');
    const lost = { taskId: run.id, fence: 1 };
    run.h.news.lose([{ ...lost, fence: 0 }], reason); // an earlier run, which is over
    expect(run.ctx.signal.aborted).toBe(false);
    run.h.news.lose([lost], reason);
    expect(run.ctx.signal.reason).toBe(reason);
    await expect(run.ctx.progress(1)).rejects.toBeDefined();
    run.work.resolve('too late');
    await run.h.clock.run(0);
    expect(run.h.facts.types(run.id)).toEqual(['created', 'start']);
    expectAtRest(run);
    await run.h.submit('task');
    await run.h.clock.run(0);
    expect(run.handle).toHaveBeenCalledTimes(2);
  });

  it('gives the slot of a lost run back also when its handler ignores the signal', async () => {
    const run = await running();
    run.h.news.lose([{ taskId: run.id, fence: 1 }], new Error('The lease ended.'));
    await run.h.clock.run(5_000);
    expect(run.h.facts.types(run.id)).toEqual(['created', 'start']);
    expectAtRest(run);
  });

  it('is left alone when another run has taken its place, and the late end is counted', async () => {
    const run = await running();
    run.h.facts.isShared = true;
    run.h.facts.writeElsewhere({ type: 'recovered', taskId: run.id, data: { recoveries: 1 } });
    run.h.facts.writeElsewhere({ type: 'start', taskId: run.id });
    run.work.resolve('too late');
    await run.h.clock.run(0);
    expect(run.h.facts.types(run.id)).toEqual(['created', 'start', 'recovered', 'start']);
    expect(run.h.executor.stats.lateWrites).toBe(1);
    expectAtRest(run);
  });
});

describe('Storage that does not answer for a moment', () => {
  const away = (): RepositoryError => new RepositoryError('UNAVAILABLE', 'The database did not answer.', 10);

  it('keeps the progress of a run, and its attempt', async () => {
    const run = await running();
    run.h.facts.refuse('progress', 2, away());
    const told = run.ctx.progress('half');
    await run.h.clock.run(0);
    await told;
    expect(run.h.facts.refused).toBe(2);
    run.work.resolve('done');
    await run.h.clock.run(0);
    expect(run.h.facts.types(run.id)).toEqual(['created', 'start', 'progress', 'complete']);
    expectAtRest(run);
  });

  it('keeps the end of a run: the handler is not called again for it', async () => {
    const run = await running();
    run.h.facts.refuse('complete', 2, away());
    run.work.resolve('done');
    await run.h.clock.run(0);
    expect(run.h.facts.refused).toBe(2);
    expect(run.h.facts.types(run.id)).toEqual(['created', 'start', 'complete']);
    expect(run.handle).toHaveBeenCalledTimes(1);
    expectAtRest(run);
  });
});
