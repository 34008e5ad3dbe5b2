import { describe, expect, it, jest } from '@jest/globals';
import { IsEmail, IsString, MinLength, ValidateNested } from 'class-validator';
import { Type } from 'class-transformer';
import { z } from 'zod';
import type { RecoveryContext, TaskContext } from '../../../lib/contracts/task-handler.interface.js';
import type { Task } from '../../../lib/contracts/task.interface.js';
import { NonRetryableError } from '../../../lib/errors/execution.errors.js';
import { ExecutorHarness } from '../../support/doubles/executor-harness.js';

class Address {
  @IsString() street!: string;
}
class EmailDto {
  @IsEmail() to!: string;
  @MinLength(3) subject!: string;
  @ValidateNested() @Type(() => Address) address!: Address;
}

describe('An attempt', () => {
  it('runs a queued task to its end, and gives slot and gate back', async () => {
    const h = new ExecutorHarness();
    h.define('double', async (input) => ({ value: (input as { value: number }).value * 2 }));
    h.executor.start();
    const id = await h.submit('double', { value: 21 }, { traceparent: '00-aa-bb-01' });
    await h.clock.run(0);
    expect(h.errors).toEqual([]);
    expect(h.facts.types(id)).toEqual(['created', 'start', 'complete']);
    expect(h.facts.body(id, 'complete')).toEqual({ result: { value: 42 } });
    expect([h.source.slotsInUse, h.facts.holds.get(id), h.executor.running]).toEqual([0, 0, 0]);
    expect(h.executor.stats.completed).toBe(1);
    expect(h.telemetry.counts.get('taskflow.tasks.completed')).toBe(1);
    expect(h.telemetry.spans.map(({ name, parent, outcome }) => [name, parent, outcome])).toEqual([
      ['taskflow.task.execute', '00-aa-bb-01', 'completed'],
      ['taskflow.task.handler', undefined, undefined],
    ]);
    expect(h.telemetry.records.map(({ name }) => name)).toEqual(['taskflow.task.queue_wait_ms', 'taskflow.task.duration_ms']);
  });

  it('leaves no timer behind', async () => {
    const h = new ExecutorHarness();
    h.define('noop', async () => undefined);
    h.executor.start();
    const before = h.clock.timers;
    const id = await h.submit('noop');
    await h.clock.run(0);
    expect(h.facts.types(id)).toEqual(['created', 'start', 'complete']);
    expect(h.facts.body(id, 'complete')).toBeUndefined();
    expect(h.clock.timers).toBe(before);
  });

  it('calls the handler only after the start is durable', async () => {
    const h = new ExecutorHarness();
    const handle = jest.fn(async () => undefined);
    h.define('task', handle);
    h.executor.start();
    h.facts.isManual = true;
    await h.submit('task');
    await h.clock.run(0);
    expect(handle).not.toHaveBeenCalled();
    h.facts.sync();
    await h.clock.run(0);
    expect(handle).toHaveBeenCalledTimes(1);
  });

  it('tells its handler who it is, and works when taken apart', async () => {
    const h = new ExecutorHarness();
    let seen: unknown;
    h.define('task', async (_input, ctx) => {
      const { progress, emit } = ctx;
      await progress({ at: 1 });
      await emit('token', 'x');
      seen = [
        ctx.taskId,
        ctx.name,
        ctx.userId,
        ctx.idempotencyKey,
        ctx.attempt,
        ctx.maxAttempts,
        ctx.fence,
        ctx.signal.aborted,
        ctx.previousEvents,
      ];
    });
    h.executor.start();
    const id = await h.submit('task');
    await h.clock.run(0);
    expect(seen).toEqual([id, 'task', null, id, 1, 3, 1, false, []]);
    expect(h.facts.types(id)).toEqual(['created', 'start', 'progress', 'custom', 'complete']);
    expect(h.facts.body(id, 'custom')).toEqual({ eventName: 'token', payload: 'x' });
  });

  it('gets a new instance for each attempt where the handler is made per attempt', async () => {
    const h = new ExecutorHarness();
    const made: object[] = [];
    const instance = async (): Promise<{ handle(): Promise<void> }> => {
      const one = { handle: async () => Promise.reject(new Error('again')) };
      made.push(one);
      return one;
    };
    h.registry.define({ name: 'scoped', options: { retry: { jitter: false, initialDelayMs: 10 } }, instance });
    h.executor.start();
    const id = await h.submit('scoped');
    await h.clock.run(1000);
    expect(new Set(made).size).toBe(3);
    expect(h.facts.types(id)).toEqual(['created', 'start', 'retry', 'start', 'retry', 'start', 'error']);
  });

  it('fails when its instance cannot be made', async () => {
    const h = new ExecutorHarness();
    h.registry.define({ name: 'broken', options: { retry: { maxAttempts: 1 } }, instance: () => Promise.reject(new Error('no mailer')) });
    h.executor.start();
    const id = await h.submit('broken');
    await h.clock.run(0);
    expect(h.facts.body(id, 'error')).toEqual({ error: { name: 'Error', message: 'no mailer', retryable: true } });
  });
});

describe('A failed attempt', () => {
  it('is retried after a delay between nothing and its exponential bound, and counts as one attempt each', async () => {
    const delays: number[][] = [[], []];
    for (let round = 0; round < 40; round += 1) {
      const h = new ExecutorHarness();
      for (let skip = 0; skip < round; skip += 1) h.idSource.random();
      h.define('flaky', async () => Promise.reject(new Error('down')));
      h.executor.start();
      const id = await h.submit('flaky');
      await h.clock.run(10_000);
      const retries = h.facts.log
        .filter((entry) => entry.type === 'retry')
        .map((entry) => JSON.parse(entry.body) as Record<string, number>);
      expect(retries.length).toBe(2);
      retries.forEach((retry, index) => delays[index]!.push(retry['delayMs']!));
      retries.forEach((retry) => expect(retry).toMatchObject({ reason: 'failed', error: { message: 'down' } }));
      expect(h.facts.state(id)).toMatchObject({ status: 'failed', attempt: 3, failures: 3 });
    }
    expect(Math.max(...delays[0]!)).toBeLessThanOrEqual(1000);
    expect(Math.max(...delays[1]!)).toBeLessThanOrEqual(2000);
    expect(Math.max(...delays[1]!)).toBeGreaterThan(1000);
    expect(Math.min(...delays[0]!)).toBeLessThan(200);
  });

  it('waits its whole delay, on the clock that cannot jump', async () => {
    const h = new ExecutorHarness();
    const handle = jest.fn(async () => Promise.reject(new Error('down')));
    h.define('flaky', handle, { retry: { jitter: false } });
    h.executor.start();
    await h.submit('flaky');
    await h.clock.run(0);
    h.clock.jump(3_600_000);
    await h.clock.run(900);
    expect(handle).toHaveBeenCalledTimes(1);
    await h.clock.run(200);
    expect(handle).toHaveBeenCalledTimes(2);
  });

  it('is the last one after a NonRetryableError', async () => {
    const h = new ExecutorHarness();
    h.define('strict', async () => Promise.reject(new NonRetryableError('no such account')));
    h.executor.start();
    const id = await h.submit('strict');
    await h.clock.run(0);
    expect(h.facts.types(id)).toEqual(['created', 'start', 'error']);
    expect(h.facts.body(id, 'error')).toEqual({ error: { name: 'NonRetryableError', message: 'no such account', retryable: false } });
  });

  it.each([
    ['a string', 'just text', 'just text'],
    ['nothing', undefined, 'undefined'],
    ['an object', { a: 1 }, '{"a":1}'],
    ['a symbol', Symbol('x'), 'Symbol(x)'],
  ])('keeps something of %s that was thrown', async (_label, thrown, message) => {
    const h = new ExecutorHarness();
    // oxlint-disable-next-line no-throw-literal -- handlers do
    h.define(
      'odd',
      () => {
        throw thrown;
      },
      { retry: { maxAttempts: 1 } },
    );
    h.executor.start();
    const id = await h.submit('odd');
    await h.clock.run(0);
    expect(h.facts.body(id, 'error')).toEqual({ error: { name: 'Error', message, retryable: true } });
  });

  it('fails without retry when its result is too large', async () => {
    const h = new ExecutorHarness();
    h.define('large', async () => 'x'.repeat(1_048_576));
    h.executor.start();
    const id = await h.submit('large');
    await h.clock.run(0);
    expect(h.facts.types(id)).toEqual(['created', 'start', 'error']);
    expect(h.facts.state(id).error).toMatchObject({ name: 'ValidationError', retryable: false });
  });

  it('always fits its entry, however much was thrown', async () => {
    const h = new ExecutorHarness();
    h.define('chatty', async () => Promise.reject(Object.assign(new Error('\u0001é😀'.repeat(100_000)), { code: 'c'.repeat(10_000) })));
    h.executor.start();
    const id = await h.submit('chatty', {}, { maxAttempts: 1 });
    await h.clock.run(0);
    expect(Buffer.byteLength(JSON.stringify(h.facts.body(id, 'error')))).toBeLessThan(9000);
  });
});

describe('Input', () => {
  const bad = { to: 'nobody', subject: 'x', address: { street: 5 } };

  it('reaches the handler as the DTO instance, again at each attempt', async () => {
    const h = new ExecutorHarness();
    const seen: unknown[] = [];
    h.define(
      'email',
      async (input) => {
        seen.push(input);
        if (seen.length === 1) throw new Error('again');
      },
      { input: EmailDto },
    );
    h.executor.start();
    await h.submit('email', { to: 'a@b.de', subject: 'hello', address: { street: 'x' }, extra: 1 });
    await h.clock.run(5000);
    expect(seen.length).toBe(2);
    for (const input of seen) {
      expect(input).toBeInstanceOf(EmailDto);
      expect((input as EmailDto).address).toBeInstanceOf(Address);
      expect(input).toMatchObject({ extra: 1 });
    }
    expect(seen[0]).not.toBe(seen[1]);
  });

  it('that no longer passes its DTO fails without retry, naming every field', async () => {
    const h = new ExecutorHarness();
    const handle = jest.fn(async () => undefined);
    h.define('email', handle, { input: EmailDto });
    h.executor.start();
    const id = await h.submit('email', bad);
    await h.clock.run(0);
    expect(handle).not.toHaveBeenCalled();
    expect(h.facts.types(id)).toEqual(['created', 'start', 'error']);
    for (const path of ['to:', 'subject:', 'address.street:']) expect(h.facts.state(id).error!.message).toContain(path);
  });

  it('reaches the handler as the output of its schema, or fails naming every field', async () => {
    const h = new ExecutorHarness();
    const seen: unknown[] = [];
    const schema = z.object({ n: z.number().default(7), list: z.array(z.object({ id: z.string() })).transform((all) => all.length) });
    h.define('schema', async (input) => void seen.push(input), { schema });
    h.executor.start();
    await h.submit('schema', { list: [{ id: 'a' }] });
    const id = await h.submit('schema', { n: 'x', list: [{ id: 'a' }, { id: 5 }] });
    await h.clock.run(0);
    expect(seen).toEqual([{ n: 7, list: 1 }]);
    for (const path of ['n:', 'list.1.id:']) expect(h.facts.state(id).error!.message).toContain(path);
  });

  it('validated at submit is not validated again by the run that follows', async () => {
    const h = new ExecutorHarness();
    const validate = jest.fn((value: unknown) => ({ value }));
    let seen: unknown;
    h.define('once', async (input) => void (seen = input), { schema: { '~standard': { version: 1, vendor: 'test', validate } } });
    h.executor.start();
    const task = (await h.created('once', { a: 1 })).task!;
    const value = { a: 1 };
    h.feed.launch(task, h.feed.reserve('once', null)!, value);
    await h.clock.run(0);
    expect(seen).toBe(value);
    expect(validate).not.toHaveBeenCalled();
    expect(h.source.slotsInUse).toBe(0);
  });
});

describe('Recovery', () => {
  const crashed = async (h: ExecutorHarness): Promise<Task['id']> => {
    const { id } = (await h.created('job', { a: 1 })).task!;
    await h.facts.append([{ type: 'progress', taskId: id, body: '{"payload":{"page":3}}' }]);
    await h.clock.run(60_000);
    h.feed.offer(await h.crash(id));
    return id;
  };

  it('asks recover first, with the last durable event, and completes with its result', async () => {
    const h = new ExecutorHarness();
    const handle = jest.fn(async () => undefined);
    let seen: unknown[] = [];
    const recover = async (task: Task, ctx: RecoveryContext): Promise<{ recovered: boolean; result?: unknown }> => {
      const events = [];
      for await (const event of ctx.history()) events.push(event.type);
      seen = [
        task.input,
        task.fence,
        ctx.reason,
        ctx.lastSeq,
        ctx.timeSinceLastEventMs,
        ctx.previousEvents.map((event) => event.type),
        events,
      ];
      return { recovered: true, result: 'found' };
    };
    h.define('job', { handle, recover });
    h.executor.start();
    const id = await crashed(h);
    await h.clock.run(0);
    const types = ['created', 'start', 'progress', 'recovered'];
    expect(seen).toEqual([{ a: 1 }, 2, 'crash', 3, 60_000, types, types]);
    expect(handle).not.toHaveBeenCalled();
    expect(h.facts.types(id)).toEqual([...types, 'start', 'complete']);
    expect(h.facts.body(id, 'complete')).toEqual({ result: 'found' });
  });

  it('asks recover after a shutdown, too', async () => {
    const h = new ExecutorHarness();
    const reasons: string[] = [];
    const recover = async (_task: Task, ctx: RecoveryContext): Promise<{ recovered: boolean }> => {
      reasons.push(ctx.reason);
      return { recovered: false };
    };
    h.define('job', { handle: async () => 'done', recover });
    h.executor.start();
    const { id } = (await h.created('job')).task;
    const released = await h.facts.append([{ type: 'retry', taskId: id, data: { reason: 'shutdown', runAt: h.clock.now(), delayMs: 0 } }]);
    h.feed.offer(released.task!);
    await h.clock.run(0);
    expect(reasons).toEqual(['shutdown']);
    expect(h.facts.state(id)).toMatchObject({ status: 'completed', attempt: 1 });
  });

  it('goes on to handle in the same run when recover says no', async () => {
    const h = new ExecutorHarness();
    const calls: number[] = [];
    h.define('job', {
      handle: async (_input, ctx) => void calls.push(ctx.fence),
      recover: async (_task, ctx) => {
        calls.push(ctx.fence);
        return { recovered: false };
      },
    });
    h.executor.start();
    const id = await crashed(h);
    await h.clock.run(0);
    expect(calls).toEqual([2, 2]);
    expect(h.facts.types(id).filter((type) => type === 'start').length).toBe(2);
    expect(h.source.recoveredCalls).toBe(1);
  });

  it('completes a void task without a result', async () => {
    const h = new ExecutorHarness();
    h.define('job', { handle: async () => undefined, recover: async () => ({ recovered: true }) });
    h.executor.start();
    const id = await crashed(h);
    await h.clock.run(0);
    expect(h.facts.state(id)).toMatchObject({ status: 'completed', result: undefined });
  });

  it.each([
    ['throws', async () => Promise.reject(new Error('cannot tell'))],
    ['answers something else', async () => 'yes' as never],
  ])('counts as a failed attempt when recover %s; the next attempt is handle', async (_label, recover) => {
    const h = new ExecutorHarness();
    const handle = jest.fn(async () => 'done');
    h.define('job', { handle, recover });
    h.executor.start();
    const id = await crashed(h);
    await h.clock.run(0);
    expect(h.facts.body(id, 'retry')).toMatchObject({ reason: 'failed' });
    expect(handle).not.toHaveBeenCalled();
    await h.clock.run(5000);
    expect(h.facts.state(id)).toMatchObject({ status: 'completed', attempt: 2 });
    expect(handle).toHaveBeenCalledTimes(1);
  });
});

describe('A generator', () => {
  it('appends what it yields, in order, and completes with what it returns', async () => {
    const h = new ExecutorHarness();
    h.define('gen', async function* () {
      yield { type: 'progress', payload: { n: 1 }, message: 'one' };
      yield { type: 'custom', eventName: 'token', payload: 'x' };
      yield { type: 'progress', message: 'only text' };
      return 'end';
    });
    h.executor.start();
    const id = await h.submit('gen');
    await h.clock.run(0);
    expect(h.facts.log.map(({ type, body }) => [type, body]).slice(2)).toEqual([
      ['progress', '{"payload":{"message":"one","n":1}}'],
      ['custom', '{"eventName":"token","payload":"x"}'],
      ['progress', '{"payload":{"message":"only text"}}'],
      ['complete', '{"result":"end"}'],
    ]);
    expect(h.facts.state(id).status).toBe('completed');
  });

  it('may come out of a promise, and fails for good when it is not async', async () => {
    const h = new ExecutorHarness();
    async function* steps(): AsyncGenerator<{ type: string }, string, void> {
      yield { type: 'progress' };
      return 'end';
    }
    h.define('promised', (async () => steps()) as never);
    h.define('sync', function* () {
      yield { type: 'progress' };
    } as never);
    h.executor.start();
    const promised = await h.submit('promised');
    const sync = await h.submit('sync');
    await h.clock.run(0);
    expect(h.facts.types(promised)).toEqual(['created', 'start', 'progress', 'complete']);
    expect(h.facts.state(sync)).toMatchObject({ status: 'failed', error: { name: 'NonRetryableError' } });
  });

  it('that ends by itself after the signal of a shutdown has returned, though with nothing', async () => {
    const h = new ExecutorHarness();
    h.define('void', async function* (_input: unknown, ctx: TaskContext) {
      yield { type: 'progress' };
      await new Promise<void>((resolve) => ctx.signal.addEventListener('abort', () => resolve()));
    });
    h.define('endless', async function* (_input: unknown, ctx: TaskContext) {
      await new Promise<void>((resolve) => ctx.signal.addEventListener('abort', () => resolve()));
      yield { type: 'progress' };
    });
    h.executor.start();
    const ended = await h.submit('void');
    const interrupted = await h.submit('endless');
    await h.settle();
    const stopped = h.executor.stop({ force: true });
    await h.clock.run(0);
    await stopped;
    expect(h.facts.types(ended)).toEqual(['created', 'start', 'progress', 'complete']);
    expect(h.facts.types(interrupted)).toEqual(['created', 'start', 'retry']);
  });

  it('is pulled at most 256 yields ahead of the disk', async () => {
    const h = new ExecutorHarness();
    let yielded = 0;
    h.define('fast', async function* () {
      for (; yielded < 1000; yielded += 1) yield { type: 'progress', payload: yielded };
    });
    h.executor.start();
    h.facts.isManual = true;
    await h.submit('fast');
    await h.settle();
    h.facts.sync();
    await h.settle();
    expect(yielded).toBeLessThanOrEqual(256);
    expect(yielded).toBeGreaterThan(200);
    h.facts.isManual = false;
    h.facts.sync();
    await h.clock.run(0);
    expect(h.facts.log.filter((entry) => entry.type === 'progress').map((entry) => entry.body)).toEqual(
      Array.from({ length: 1000 }, (_, n) => `{"payload":${n}}`),
    );
    expect(h.facts.log.at(-1)!.type).toBe('complete');
  });

  it.each([
    ['an unknown type', { type: 'result', payload: 1 }, 'yield.type'],
    ['no object', 5, 'yield'],
    ['a custom event without a name', { type: 'custom' }, 'eventName'],
    ['a payload that is not JSON', { type: 'progress', payload: 5n }, 'payload'],
  ])('fails its attempt when it yields %s, and its finally block runs', async (_label, value, path) => {
    const h = new ExecutorHarness();
    let isCleanedUp = false;
    h.define('bad', async function* () {
      try {
        yield value as never;
        yield { type: 'progress' };
      } finally {
        isCleanedUp = true;
      }
    });
    h.executor.start();
    const id = await h.submit('bad', {}, { maxAttempts: 1 });
    await h.clock.run(0);
    expect(isCleanedUp).toBe(true);
    expect(h.facts.types(id)).toEqual(['created', 'start', 'error']);
    expect(h.facts.state(id).error!.message).toContain(`${path}:`);
  });

  it('gets return() when its time is up, and its attempt fails', async () => {
    const h = new ExecutorHarness();
    let isCleanedUp = false;
    h.define('slow', async function* (_input: unknown, ctx: TaskContext) {
      try {
        for (;;) {
          yield { type: 'progress' };
          await new Promise<void>((resolve) => ctx.signal.addEventListener('abort', () => resolve()));
        }
      } finally {
        isCleanedUp = true;
      }
    });
    h.executor.start();
    const id = await h.submit('slow', {}, { maxAttempts: 1, timeoutMs: 500 });
    await h.clock.run(600);
    expect(isCleanedUp).toBe(true);
    expect(h.facts.types(id)).toEqual(['created', 'start', 'progress', 'error']);
    expect(h.facts.state(id).error).toMatchObject({ name: 'TaskTimeoutError', code: 'TASK_TIMEOUT', retryable: true });
  });
});
