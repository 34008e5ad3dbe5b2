import { describe, expect, it, jest } from '@jest/globals';
import type { TaskContext } from '../../../lib/contracts/task-handler.interface.js';
import type { TaskId } from '../../../lib/contracts/ids.js';
import { BackpressureError } from '../../../lib/errors/admission.errors.js';
import { RepositoryError } from '../../../lib/errors/storage.errors.js';
import { FairQueue } from '../../../lib/engines/local/queue/fair-queue.js';
import { BackpressureOptions } from '../../../lib/config/backpressure.options.js';
import { WaitingTasks } from '../../../lib/guard/waiting-tasks.js';
import { ExecutionSlots } from '../../../lib/guard/execution-slots.js';
import { Deferred } from '../../../lib/primitives/deferred.js';
import { ExecutorHarness, SETTINGS } from '../../support/doubles/executor-harness.js';
import type { FakeClock } from '../../support/clock/fake-clock.js';

async function emitting(settings = SETTINGS): Promise<{ h: ExecutorHarness; id: TaskId; ctx: TaskContext; work: Deferred<unknown> }> {
  const h = new ExecutorHarness({ settings });
  const work = new Deferred<unknown>();
  let ctx!: TaskContext;
  h.define('task', (_input, context) => {
    ctx = context;
    return work.promise;
  });
  h.executor.start();
  const id = await h.submit('task', {}, { maxAttempts: 1 });
  await h.clock.run(0);
  return { h, id, ctx, work };
}
const payloads = (h: ExecutorHarness): unknown[] =>
  h.facts.log.filter(({ type }) => type === 'progress').map(({ body }) => (JSON.parse(body) as { payload: unknown }).payload);

describe('What a run emits', () => {
  it('is in the log before its end, in order, though nobody waited for it', async () => {
    const { h, id, ctx, work } = await emitting();
    h.facts.isManual = true;
    for (let n = 0; n < 10; n += 1) void ctx.progress(n);
    work.resolve('done');
    for (let frame = 0; frame < 4; frame += 1) {
      await h.settle();
      h.facts.sync();
    }
    await h.settle();
    expect(payloads(h)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    expect(h.facts.types(id).at(-1)).toBe('complete');
  });

  it('resolves only when durable', async () => {
    const { h, ctx } = await emitting();
    h.facts.isManual = true;
    let isDurable = false;
    const written = ctx.progress(1).then(() => (isDurable = true));
    await h.settle();
    expect(isDurable).toBe(false);
    h.facts.sync();
    await written;
    expect(isDurable).toBe(true);
  });

  it('waits in its run while the log has no room, and is made in order afterwards; no attempt is burnt', async () => {
    const { h, id, ctx, work } = await emitting();
    void ctx.progress('a');
    await h.settle();
    h.facts.setFull('bulk');
    const second = ctx.progress('b');
    await h.settle();
    void ctx.progress('c');
    work.resolve('done');
    await h.clock.run(0);
    expect(h.facts.refused).toBe(1);
    expect(h.facts.types(id).at(-1)).toBe('progress');
    h.facts.setFull('none');
    await second;
    await h.clock.run(0);
    expect(payloads(h)).toEqual(['a', 'b', 'c']);
    expect(h.facts.state(id)).toMatchObject({ status: 'completed', attempt: 1 });
  });

  it('does not use the time of its attempt up while the log has no room for it', async () => {
    const { h, id, ctx, work } = await emitting();
    h.facts.setFull('bulk');
    void ctx.progress('a').then(() => work.resolve('done'));
    await h.clock.run(1_000_000);
    expect(h.facts.refusedOfRuns).toBe(1);
    expect(ctx.signal.aborted).toBe(false);
    h.facts.setFull('none');
    await h.clock.run(0);
    expect(h.facts.state(id)).toMatchObject({ status: 'completed', attempt: 1 });
    expect(payloads(h)).toEqual(['a']);
  });

  it('is bounded at 1,000 entries: the call rejects, is counted, and the attempt goes on', async () => {
    const { h, id, ctx, work } = await emitting();
    h.facts.isManual = true;
    for (let n = 0; n < 1000; n += 1) void ctx.progress(n);
    void ctx.progress('ignored'); // must not end the process
    const answer = ctx.progress('refused').catch((error: unknown) => error);
    expect(h.executor.stats.runLimitRejections).toBe(2);
    expect(h.telemetry.counts.get('taskflow.guard.rejections')).toBe(2);
    const refused = await answer;
    expect(BackpressureError.is(refused)).toBe(true);
    expect(refused).toMatchObject({ limit: 'run' });
    h.facts.isManual = false;
    h.facts.sync();
    await h.settle();
    await ctx.progress('again');
    work.resolve('done');
    await h.clock.run(0);
    expect(payloads(h).length).toBe(1001);
    expect(h.facts.state(id).status).toBe('completed');
  });

  it('is bounded at 8 MiB', async () => {
    const { h, ctx } = await emitting();
    h.facts.isManual = true;
    const payload = 'x'.repeat(65_000);
    let accepted = 0;
    while (h.executor.stats.runLimitRejections === 0) {
      void ctx.progress(payload);
      accepted += 1;
    }
    expect(accepted - 1).toBe(Math.floor((8 * 1024 * 1024) / 65_014));
  });

  it.each([
    ['is over the limit', 'x'.repeat(65_536)],
    [
      'refers to itself',
      (() => {
        const a: Record<string, unknown> = {};
        a['b'] = { a };
        return a;
      })(),
    ],
    ['holds a BigInt', { n: 5n }],
  ])('fails the attempt when it %s, whatever the handler returns', async (_label, payload) => {
    const { h, id, ctx, work } = await emitting();
    await expect(ctx.progress(payload)).rejects.toMatchObject({ code: 'VALIDATION_FAILED' });
    expect(ctx.signal.aborted).toBe(true);
    work.resolve('done');
    await h.clock.run(0);
    expect(h.facts.types(id)).toEqual(['created', 'start', 'error']);
    expect(h.facts.state(id).error).toMatchObject({ name: 'ValidationError' });
  });

  it.each([[''], ['a\nb'], ['x'.repeat(201)], [5 as never]])('refuses the event name %j', async (name) => {
    const { ctx } = await emitting();
    await expect(ctx.emit(name, 1)).rejects.toMatchObject({ field: 'eventName' });
  });
});

describe('Heartbeats', () => {
  it('are written for every run at each interval, and not again while the log does not answer', async () => {
    const { h, id } = await emitting();
    await h.clock.run(5000);
    expect(h.facts.types(id)).toEqual(['created', 'start', 'heartbeat']);
    h.facts.isManual = true;
    await h.clock.run(20_000);
    h.facts.isManual = false;
    h.facts.sync();
    await h.settle();
    expect(h.facts.types(id).filter((type) => type === 'heartbeat').length).toBe(2);
  });

  it('are dropped when refused, and the run goes on', async () => {
    const { h, id, work } = await emitting();
    h.facts.refuse('heartbeat');
    await h.clock.run(5000);
    expect([h.facts.refused, h.liveness.dropped]).toEqual([1, 1]);
    work.resolve('done');
    await h.clock.run(0);
    expect(h.facts.state(id).status).toBe('completed');
  });
});

describe('The queue', () => {
  it('passes a task over that cannot be read now, and comes back to it', async () => {
    const h = new ExecutorHarness();
    h.define('task', async () => 'done');
    h.facts.loadErrors.push(new RepositoryError('UNAVAILABLE', 'down', 500));
    h.executor.start();
    const first = await h.submit('task');
    const second = await h.submit('task');
    await h.clock.run(0);
    expect(h.feed.deferred).toBe(1);
    expect([h.facts.state(first).status, h.facts.state(second).status]).toEqual(['created', 'completed']);
    expect(h.source.slotsInUse).toBe(0);
    await h.clock.run(600);
    expect(h.facts.state(first).status).toBe('completed');
  });

  it.each([Number.NaN, Number.POSITIVE_INFINITY, -1, '5'])(
    'comes back to a task within a second where storage says %p of when it can be read',
    async (retryAfterMs) => {
      const h = new ExecutorHarness();
      h.define('task', async () => 'done');
      h.facts.loadErrors.push(new RepositoryError('UNAVAILABLE', 'down', retryAfterMs as number));
      h.executor.start();
      const id = await h.submit('task');
      await h.clock.run(1_100);
      expect([h.feed.deferred, h.facts.state(id).status]).toEqual([1, 'completed']);
    },
  );

  it('has a task that is offered anew while it cannot be read run once it can, and leaves nothing behind', async () => {
    let slots!: ExecutionSlots;
    const source = (clock: FakeClock): FairQueue => {
      slots = new ExecutionSlots({ maxExecutionGlobal: 1, maxExecutionPerUser: 1, slotTimeoutMs: 1_000 }, clock);
      return new FairQueue(slots, { maxConcurrentRecoveries: 5 }, clock, new WaitingTasks(new BackpressureOptions()));
    };
    const h = new ExecutorHarness({ source });
    const reading = new Deferred<null>();
    h.define('task', async () => 'done');
    h.executor.start();
    jest.spyOn(h.facts, 'load').mockReturnValueOnce(reading.promise);
    const id = await h.submit('task');
    await h.settle();
    expect(slots.inUse).toBe(1);
    // As a start does that reads the waiting tasks once more, since the database went away while it paged through them.
    h.feed.offer(h.facts.state(id));
    reading.reject(new RepositoryError('UNAVAILABLE', 'down', 500));
    await h.settle();
    expect(h.feed.deferred).toBe(1);
    await h.clock.run(1_000);
    expect(h.facts.types(id)).toEqual(['created', 'start', 'complete']);
    expect([slots.inUse, h.source.size]).toEqual([0, { queued: 0, delayed: 0, parked: 0 }]);
    await h.executor.stop();
  });

  it('parks tasks without a handler, warns once per name, and runs them when the name is defined', async () => {
    const h = new ExecutorHarness();
    h.executor.start();
    const id = await h.submit('later');
    await h.submit('later');
    await h.clock.run(1000);
    expect(h.warnings).toEqual([expect.stringMatching(/^Tasks named "later" wait: no handler .*forFeature/)]);
    expect(h.facts.state(id).status).toBe('created');
    h.define('later', async () => 'done');
    await h.clock.run(0);
    expect(h.facts.state(id).status).toBe('completed');
  });

  const switchedOff = { ...SETTINGS, executor: { ...SETTINGS.executor, enabled: false } };

  it('takes nothing while the executor is switched off, until it is started by hand', async () => {
    const h = new ExecutorHarness({ settings: switchedOff });
    h.define('task', async () => 'done');
    h.executor.holdBack();
    h.executor.release();
    const id = await h.submit('task');
    await h.clock.run(10_000);
    expect(h.facts.state(id).status).toBe('created');
    expect(h.feed.reserve('task', null)).toBeNull();
    h.executor.start();
    await h.clock.run(0);
    expect(h.facts.state(id).status).toBe('completed');
  });

  it.each([true, false])('keeps a start by hand for the moment when the system is up (enabled: %s)', async (enabled) => {
    const h = new ExecutorHarness({ settings: { ...switchedOff, executor: { ...switchedOff.executor, enabled } } });
    h.define('task', async () => 'done');
    h.executor.holdBack();
    h.executor.start();
    const id = await h.submit('task');
    await h.clock.run(10_000);
    expect(h.facts.state(id).status).toBe('created');
    h.executor.release();
    await h.clock.run(0);
    expect(h.facts.state(id).status).toBe('completed');
  });

  it('fills a free slot at once', async () => {
    const h = new ExecutorHarness({ slots: 1 });
    h.define('task', async () => 'done');
    h.executor.start();
    for (let n = 0; n < 50; n += 1) await h.submit('task');
    await h.settle();
    expect(h.executor.stats.completed).toBe(50);
  });
});
