/* oxlint-disable unicorn/no-thenable -- objects with a then are what some of these handlers return */
import { describe, expect, it } from '@jest/globals';
import type { TaskContext } from '../../../lib/contracts/task-handler.interface.js';
import { BackpressureError } from '../../../lib/errors/admission.errors.js';
import { ValidationError } from '../../../lib/errors/request.errors.js';
import { ExecutorHarness } from '../../support/doubles/executor-harness.js';

const GRACE_MS = 5000;
const never = (): Promise<never> => new Promise(() => undefined);
const gotcha = (): never => {
  throw new Error('gotcha');
};

/** An iterator by hand: it yields one event and then waits for ever. */
const byHand = (members: object): object => {
  let count = 0;
  return {
    [Symbol.asyncIterator]() {
      return this;
    },
    next: () => (count++ === 0 ? Promise.resolve({ done: false, value: { type: 'progress', payload: 1 } }) : never()),
    ...members,
  };
};

const ITERATORS: [string, object][] = [
  ['has no return()', {}],
  ['whose return() gives no promise', { return: () => ({ done: true }) }],
  ['whose return() gives nothing', { return: () => undefined }],
  ['whose return() throws', { return: gotcha }],
  ['whose return() rejects', { return: () => Promise.reject(new Error('gotcha')) }],
  ['whose return() never settles', { return: never }],
  ['whose return() gives a thenable that throws', { return: () => ({ then: gotcha }) }],
  ['whose return is a getter that throws', Object.defineProperty({}, 'return', { get: gotcha, enumerable: true })],
];

describe('An iterator by hand', () => {
  it.each(ITERATORS)('that %s ends with its timeout, gives its slot back, and harms nobody', async (_label, members) => {
    const h = new ExecutorHarness();
    // A spread would look at the getter.
    h.define('odd', async () => Object.defineProperties(byHand({}), Object.getOwnPropertyDescriptors(members)));
    h.executor.start();
    const id = await h.submit('odd', {}, { maxAttempts: 1, timeoutMs: 500 });
    await h.clock.run(500 + GRACE_MS);
    expect(h.facts.types(id).filter((type) => type !== 'heartbeat')).toEqual(['created', 'start', 'progress', 'error']);
    expect(h.facts.state(id).error).toMatchObject({ code: 'TASK_TIMEOUT' });
    expect([h.executor.running, h.source.slotsInUse]).toEqual([0, 0]);
  });

  it.each(ITERATORS)('that %s can be cancelled', async (_label, members) => {
    const h = new ExecutorHarness();
    h.define('odd', async () => Object.defineProperties(byHand({}), Object.getOwnPropertyDescriptors(members)));
    h.executor.start();
    const id = await h.submit('odd');
    await h.clock.run(0);
    expect(await h.cancel(id)).toBe('ok');
    await h.clock.run(GRACE_MS);
    expect(h.facts.state(id).status).toBe('cancelled');
    expect([h.executor.running, h.source.slotsInUse]).toEqual([0, 0]);
  });

  it.each(ITERATORS)('that %s is released at shutdown, and burns no attempt', async (_label, members) => {
    const h = new ExecutorHarness();
    h.define('odd', async () => Object.defineProperties(byHand({}), Object.getOwnPropertyDescriptors(members)));
    h.executor.start();
    const id = await h.submit('odd');
    await h.clock.run(0);
    const stopped = h.executor.stop({ force: true });
    await h.clock.run(3 * GRACE_MS);
    await stopped;
    expect(h.facts.state(id)).toMatchObject({ status: 'created', attempt: 1, resume: 'shutdown' });
  });

  it.each([
    ['gives no promise and no object', { next: () => 5 }],
    ['throws', { next: gotcha }],
    ['gives steps that throw when they are looked at', { next: () => Object.defineProperty({}, 'done', { get: gotcha }) }],
    ['yields a proxy that throws', { next: () => ({ done: false, value: new Proxy({}, { get: gotcha }) }) }],
  ])('whose next() %s fails its attempt', async (_label, members) => {
    const h = new ExecutorHarness();
    h.define('odd', async () => byHand(members));
    h.executor.start();
    const id = await h.submit('odd', {}, { maxAttempts: 1 });
    await h.clock.run(GRACE_MS);
    expect(h.facts.types(id).at(-1)).toBe('error');
    expect([h.executor.running, h.source.slotsInUse]).toEqual([0, 0]);
  });
});

describe('What a handler returns', () => {
  const revoked = Proxy.revocable({}, {});
  revoked.revoke();
  it.each([
    ['a thenable that throws', { then: gotcha }, 'gotcha'],
    ['a thenable that rejects', { then: (_: unknown, reject: (reason: unknown) => void) => reject(new Error('no')) }, 'no'],
    ['a function with a then', Object.assign(() => 1, { then: (resolve: (value: unknown) => void) => resolve(1n) }), 'bigint'],
    ['an object whose then throws when it is looked at', Object.defineProperty({}, 'then', { get: gotcha }), 'gotcha'],
    ['a getter that throws', Object.defineProperty({}, 'a', { get: gotcha, enumerable: true }), 'gotcha'],
    ['a proxy that throws', new Proxy({}, { get: gotcha, ownKeys: gotcha, getPrototypeOf: gotcha }), 'gotcha'],
    ['a revoked proxy', revoked.proxy, 'revoked'],
    ['a toJSON that throws', { toJSON: gotcha }, 'gotcha'],
  ])('may be %s: the task fails and says so', async (_label, value, message) => {
    const h = new ExecutorHarness();
    h.define('odd', () => value as never);
    h.executor.start();
    const id = await h.submit('odd', {}, { maxAttempts: 1 });
    await h.clock.run(GRACE_MS);
    expect(h.facts.types(id)).toEqual(['created', 'start', 'error']);
    expect(h.facts.state(id).error!.message).toContain(message);
    expect([h.executor.running, h.source.slotsInUse]).toEqual([0, 0]);
  });

  it('may be a promise of another kind: its value is the result', async () => {
    const h = new ExecutorHarness();
    h.define('odd', () => ({ then: (resolve: (value: unknown) => void) => resolve({ done: true }) }) as never);
    h.executor.start();
    const id = await h.submit('odd');
    await h.clock.run(0);
    expect(h.facts.body(id, 'complete')).toEqual({ result: { done: true } });
  });

  it('may be a thenable that never settles: its time is up like any other', async () => {
    const h = new ExecutorHarness();
    h.define('odd', () => ({ then: () => undefined }) as never);
    h.executor.start();
    const id = await h.submit('odd', {}, { maxAttempts: 1, timeoutMs: 500 });
    await h.clock.run(500 + GRACE_MS);
    expect(h.facts.state(id)).toMatchObject({ status: 'failed', error: { code: 'TASK_TIMEOUT' } });
    expect([h.executor.running, h.source.slotsInUse]).toEqual([0, 0]);
  });

  it('has an owner to its end: a result that the log will never take fails the task, once, without a restart', async () => {
    const h = new ExecutorHarness();
    let calls = 0;
    h.define('big', async () => ((calls += 1), 'result'));
    h.facts.refuse('complete', 1, new ValidationError('payload', 'Entries that belong together exceed a frame.'));
    h.executor.start();
    const id = await h.submit('big');
    await h.clock.run(60_000);
    expect(h.facts.refused).toBe(1);
    expect(h.facts.types(id)).toEqual(['created', 'start', 'error']);
    expect(h.facts.state(id).error).toMatchObject({ name: 'ValidationError', retryable: false });
    expect([calls, h.executor.running, h.source.slotsInUse]).toEqual([1, 0, 0]);
  });
});

describe('What a handler emits', () => {
  it.each([
    ['a Response', new Response('x')],
    ['an Error', { cause: new Error('x') }],
    ['a class whose state is private', new URLSearchParams('a=1')],
  ])(
    'is never emptied in silence: %s fails the attempt as payload of progress, emit and yield, with a message too',
    async (_label, payload) => {
      const h = new ExecutorHarness();
      h.define('progress', async (_: unknown, ctx: TaskContext) => ctx.progress(payload));
      h.define('emit', async (_: unknown, ctx: TaskContext) => ctx.emit('x', payload));
      h.define('yield', async function* () {
        yield { type: 'progress', payload };
      });
      h.define('yield with a message', async function* () {
        yield { type: 'progress', message: 'said', payload };
      });
      h.executor.start();
      for (const name of ['progress', 'emit', 'yield', 'yield with a message']) {
        const id = await h.submit(name, {}, { maxAttempts: 1 });
        await h.clock.run(0);
        expect([name, h.facts.types(id)]).toEqual([name, ['created', 'start', 'error']]);
        expect(h.facts.state(id).error!.message).toMatch(/^payload(\.cause)?: an? (Response|Error|URLSearchParams) is not JSON/);
      }
    },
  );
});

describe('What a handler throws', () => {
  it('is kept as text that every column can hold, however large', async () => {
    const h = new ExecutorHarness();
    h.define('odd', async () => {
      throw Object.assign(new Error(`stop\0 \ud800 ${'x'.repeat(50_000_000)}`), { name: 'Bad\0Error', code: 'E\0\udfff' });
    });
    h.executor.start();
    const id = await h.submit('odd', {}, { maxAttempts: 1 });
    await h.clock.run(0);
    const error = h.facts.state(id).error!;
    expect([error.name, error.code, error.message.slice(0, 8)]).toEqual(['Bad\uFFFDError', 'E\uFFFD\uFFFD', 'stop\uFFFD \uFFFD ']);
    expect(error.message.length).toBeLessThan(8192);
  });

  it.each([Number.POSITIVE_INFINITY, Number.NaN, 1e300, 8.64e15, -5, '7', null, {}])(
    'may say when to come again, but not beyond any date: after %p its backoff decides',
    async (retryAfterMs) => {
      const h = new ExecutorHarness();
      h.define('odd', async () => {
        throw new BackpressureError('user', retryAfterMs as number);
      });
      h.executor.start();
      const id = await h.submit('odd');
      await h.clock.run(0);
      const { status, runAt } = h.facts.state(id);
      expect([status, runAt >= h.clock.now(), runAt <= h.clock.now() + 30_000]).toEqual(['created', true, true]);
    },
  );
});
