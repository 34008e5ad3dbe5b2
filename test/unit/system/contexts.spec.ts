import { AsyncLocalStorage } from 'node:async_hooks';
import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { IsString } from 'class-validator';
import { Transform } from 'class-transformer';
import type { TaskContext } from '../../../lib/contracts/task-handler.interface.js';
import { TaskCancelledError } from '../../../lib/errors/execution.errors.js';
import { settle } from '../../support/clock/fake-clock.js';
import { SwitchableRepository } from '../../support/doubles/switchable-repository.js';
import { WholeSystem } from '../../support/doubles/whole-system.js';

const requests = new AsyncLocalStorage<string>();
const here = (): string => requests.getStore() ?? 'nobody';

/** Every turn of the fake clock, every submit and cancel is in some request: whatever forgets its own context shows that one's name. */
describe('The asynchronous context of a request', () => {
  let house: WholeSystem;
  beforeEach(() => {
    house = new WholeSystem({
      guard: { slots: { maxExecutionGlobal: 1 } },
      executor: { retry: { jitter: false } },
      stream: { keepAliveMs: 1_000 },
    });
  });
  afterEach(async () => {
    jest.restoreAllMocks();
    await as('stopper', () => house.stop());
  });
  const as = <T>(user: string, work: () => T): T => requests.run(user, work);
  const submit = (user: string, name: string, input: unknown = {}) => as(user, () => house.system.submit(name, { input, userId: user }));
  const turns = (user: string, ms = 0): Promise<void> => as(user, () => house.run(ms));

  it('is never that of a handler: it starts in an empty one at once, from the queue, at its next attempt and after a crash', async () => {
    const seen: string[] = [];
    house.definitions.set('work', {
      handler: async (_input, ctx) => {
        seen.push(`${ctx.attempt} ${here()}`);
        await ctx.progress({});
        seen.push(`${ctx.attempt} ${here()}`);
        requests.enterWith('a handler before');
        if (ctx.attempt === 1) throw new Error('once more');
      },
    });
    house.definitions.set('crash', {
      handler: () => new Promise(() => undefined),
      recovery: async () => {
        seen.push(`recover ${here()}`);
        return { recovered: true };
      },
    });
    await as('starter', () => house.start());
    const tasks = await Promise.all(['alice', 'bob', 'carol'].map((user) => submit(user, 'work')));
    const ends = Promise.all(tasks.map((task) => as('waiter', () => house.system.result(task))));
    await as('ticker', () => house.until(ends));
    const last = await submit('dave', 'crash');
    await turns('ticker');
    house.crash();
    await as('starter', () => house.start());
    await as('ticker', () => house.until(house.system.result(last)));
    expect(seen).toHaveLength(13);
    expect([...new Set(seen)].sort()).toEqual(['1 nobody', '2 nobody', 'recover nobody']);
  });

  it('is never that of an abort: its listeners, and the finally of a generator, see what the handler sees', async () => {
    const seen: string[] = [];
    house.definitions.set('listen', {
      handler: (_input, ctx) =>
        requests.run(
          'own',
          () => new Promise((resolve) => ctx.signal.addEventListener('abort', () => resolve(seen.push(`listener ${here()}`)))),
        ),
    });
    house.definitions.set('generate', {
      handler: async function* (_input, ctx) {
        try {
          for (;;) {
            yield { type: 'progress', payload: here() };
            await new Promise((resolve) => setImmediate(resolve));
          }
        } finally {
          seen.push(`finally ${here()} ${ctx.signal.aborted}`);
        }
      },
    });
    await as('starter', () => house.start());
    for (const name of ['listen', 'generate']) {
      const task = await submit('alice', name);
      await turns('ticker');
      await as('admin', () => house.system.cancel(task));
      await expect(as('ticker', () => house.until(house.system.result(task)))).rejects.toThrow(TaskCancelledError);
    }
    expect(seen).toEqual(['listener own', 'finally nobody true']);
  });

  it('is never that of a timeout', async () => {
    const seen: string[] = [];
    house.definitions.set('slow', {
      timeoutMs: 50,
      retry: { maxAttempts: 1 },
      handler: (_input, ctx) => new Promise((resolve) => ctx.signal.addEventListener('abort', () => resolve(seen.push(here())))),
    });
    await as('starter', () => house.start());
    const task = await submit('alice', 'slow');
    await turns('bob', 200);
    expect((await house.system.getStatus(task))?.status).toBe('failed');
    expect(seen).toEqual(['nobody']);
  });

  it('is that of subscribe for what a subscriber is told: events, keep-alives, the end, and an abort by somebody else', async () => {
    let emit!: TaskContext['emit'];
    let finish!: () => void;
    house.definitions.set('told', {
      handler: (_input, ctx) => {
        emit = ctx.emit;
        return new Promise<void>((resolve) => (finish = resolve));
      },
    });
    await as('starter', () => house.start());
    const task = await submit('alice', 'told');
    await turns('ticker');
    const seen: Record<string, string[]> = {};
    const note = (name: string) => (): void => void (seen[name] ??= []).push(here());
    const control = new AbortController();
    as('carol', () => house.system.subscribe(task).subscribe({ next: note('next'), complete: note('complete') }));
    as('carol', () => house.system.subscribe(task, { signal: control.signal }).subscribe({ complete: note('aborted') }));
    as('carol', () => house.system.subscribe({ taskId: 'nothing' }).subscribe({ error: note('error') }));
    const sse = await as('carol', () => house.system.sse(task));
    as('carol', () => sse.subscribe({ next: note('sse'), complete: note('sse end') }));
    const loop = as('carol', async () => {
      for await (const _event of house.system.subscribe(task)) note('loop')();
    });
    await turns('ticker', 1_500);
    await as('bob', () => emit('named', 1));
    as('bob', () => control.abort());
    as('bob', () => finish());
    await as('ticker', () => house.until(loop));
    await turns('ticker');
    const counts = Object.fromEntries(Object.entries(seen).map(([name, contexts]) => [name, [...new Set(contexts)].join()]));
    expect(counts).toEqual({
      next: 'carol',
      complete: 'carol',
      aborted: 'carol',
      error: 'carol',
      sse: 'carol',
      'sse end': 'carol',
      loop: 'carol',
    });
    // created, start, the keep-alive, custom, complete.
    expect(seen['sse']).toHaveLength(5);
  });

  it("is nobody's for a custom repository, which works for many", async () => {
    const seen = new Map<string, Set<string>>();
    for (const name of ['initialize', 'executeBatch', 'findById', 'findByIdempotencyKey', 'findStaleTasks', 'getEvents', 'list'] as const) {
      const called = SwitchableRepository.prototype[name] as (...args: unknown[]) => unknown;
      jest.spyOn(SwitchableRepository.prototype, name).mockImplementation(function (this: SwitchableRepository, ...args: unknown[]) {
        if (!seen.has(name)) seen.set(name, new Set());
        seen.get(name)!.add(here());
        requests.enterWith(`${name} before`);
        return called.apply(this, args) as never;
      });
    }
    house.definitions.set('noop', { handler: async () => undefined });
    await as('starter', () => house.start());
    const task = await as('alice', () => house.system.submit('noop', { input: 1, idempotencyKey: 'k', userId: 'alice' }));
    await as('ticker', () => house.flushed());
    const reads = ['bob', 'carol'].map((user) => as(user, () => house.system.getStatus({ taskId: task.id })));
    await as('dave', () => house.until(Promise.all(reads)));
    await as('ticker', () => house.until(as('bob', () => house.system.list())));
    const events = as('bob', async () => {
      for await (const _event of house.system.subscribe(task));
    });
    await as('ticker', () => house.until(events));
    expect(Object.fromEntries([...seen].map(([name, contexts]) => [name, [...contexts].join()]))).toEqual({
      initialize: 'nobody',
      executeBatch: 'nobody',
      findById: 'nobody',
      findByIdempotencyKey: 'nobody',
      findStaleTasks: 'nobody',
      getEvents: 'nobody',
      list: 'nobody',
    });
  });

  it("is the submitter's for the checks of a submit, and nobody's for those before an attempt", async () => {
    const seen: string[] = [];
    class Dto {
      @IsString()
      @Transform(({ value }) => {
        seen.push(here());
        return value as unknown;
      })
      text!: string;
    }
    house.definitions.set('checked', {
      input: Dto,
      retry: { maxAttempts: 2 },
      handler: async (_input, ctx) => {
        if (ctx.attempt === 1) throw new Error('once more');
      },
    });
    await as('starter', () => house.start());
    const task = await submit('alice', 'checked', { text: 'a' });
    await settle();
    expect(seen).toEqual(['alice']);
    await as('ticker', () => house.until(house.system.result(task)));
    expect(seen).toEqual(['alice', 'nobody']);
  });
});
