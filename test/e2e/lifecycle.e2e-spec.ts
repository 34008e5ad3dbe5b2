import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { firstValueFrom, take, toArray } from 'rxjs';
import {
  ConflictError,
  createTaskSystem,
  NonRetryableError,
  type Task,
  type TaskContext,
  type TaskDefinition,
  type TaskflowOptionsInput,
  type TaskSystem,
  TaskSystemError,
} from 'nestjs-taskflow';
import { eventually } from '../support/clock/patience.js';
import { TestFolder } from '../support/process/task-system.js';

let folder: TestFolder;
beforeEach(async () => {
  folder = await TestFolder.create();
});
afterEach(async () => {
  await folder.dispose();
});

async function make(
  tasks: Record<string, TaskDefinition | TaskDefinition['handler']> = {},
  options: TaskflowOptionsInput = {},
): Promise<TaskSystem> {
  const system = await folder.system({ executor: { tickIntervalMs: 5 }, shutdown: { forceKillTimeoutMs: 20 }, ...options });
  for (const [name, task] of Object.entries({ echo: async (input: unknown) => input, ...tasks })) {
    system.defineTask(name, typeof task === 'function' ? { handler: task } : task);
  }
  return system;
}
async function start(...args: Parameters<typeof make>): Promise<TaskSystem> {
  const system = await make(...args);
  await system.initialize();
  return system;
}
const hangs = (_: unknown, ctx: TaskContext): Promise<never> =>
  new Promise((_resolve, reject) => ctx.signal.addEventListener('abort', () => reject(ctx.signal.reason)));
const errorOf = async (call: () => Promise<unknown>): Promise<TaskSystemError> => {
  const error: unknown = await call().then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (!TaskSystemError.is(error)) throw new Error(`no error of ours: ${String(error)}`, { cause: error });
  return error;
};
const typesOf = async (system: TaskSystem, task: Task): Promise<string[]> => {
  const types = [];
  for await (const { type, seq } of system.subscribe(task)) if (seq !== undefined) types.push(type);
  return types;
};

describe('before initialize()', () => {
  it('calls wait for it, and it is the same however often it is called', async () => {
    const system = await make();
    const submitted = system.submit('echo', { input: 1 });
    const listed = system.list();
    expect(system.getStats().status).toBe('starting');
    await Promise.all([system.initialize(), system.initialize()]);
    expect(await system.result(await submitted)).toBe(1);
    expect((await listed).nextCursor).toBeNull();
    await system.initialize();
    expect(system.getStats().status).toMatch(/running|degraded/);
  });

  it('calls are refused with what the start failed with', async () => {
    const holder = await start();
    const system = await make();
    const waiting = Promise.allSettled([system.submit('echo', { input: 1 }), system.getStatus('k'), system.list()]);
    expect((await errorOf(() => system.initialize())).name).toBe('EventLogLockedError');
    expect((await waiting).map((each) => each.status === 'rejected' && (each.reason as Error).name)).toEqual(
      Array.from({ length: 3 }, () => 'EventLogLockedError'),
    );
    await holder.shutdown();
    expect((await errorOf(() => system.submit('echo', { input: 1 }))).name).toBe('EventLogLockedError');
  });

  it('shutdown() refuses what waits, and opens nothing', async () => {
    const system = await make();
    const waiting = errorOf(() => system.submit('echo', { input: 1 }));
    await system.shutdown();
    expect((await waiting).name).toBe('ShuttingDownError');
    expect(system.getStats().status).toBe('stopped');
    expect((await errorOf(() => system.initialize())).name).toBe('ShuttingDownError');
    await start(); // the log is free
  });
});

describe('shutdown()', () => {
  it('twice is once; every call after it is answered or refused with an error of ours', async () => {
    const system = await start({ hangs });
    const done = await system.submit('echo', { input: 1, idempotencyKey: 'k' });
    await system.result(done);
    const left = await system.submit('hangs', { input: 1 });
    const waiting = errorOf(() => system.result(left));
    await Promise.all([system.shutdown({ timeoutMs: 0 }), system.shutdown()]);
    expect((await waiting).name).toBe('ShuttingDownError');
    const late: Record<string, () => Promise<unknown>> = {
      submit: () => system.submit('echo', { input: 1 }),
      getStatus: () => system.getStatus(done),
      key: () => system.getStatus('k'),
      list: () => system.list(),
      cancel: () => system.cancel(left),
      result: () => system.result(left),
      sse: () => system.sse(left),
      subscribe: () => system.subscribe(left)[Symbol.asyncIterator]().next(),
      deadLetters: () => system.deadLetters.list(),
      retry: () => system.deadLetters.retry(done),
    };
    const names: Record<string, string> = {};
    for (const [name, call] of Object.entries(late)) {
      names[name] = await call().then(
        () => 'answered',
        (error: unknown) => (TaskSystemError.is(error) ? `${error.getStatus()}` : `${String(error)}`),
      );
    }
    for (const [name, how] of Object.entries(names)) expect([name, how]).toEqual([name, expect.stringMatching(/^(answered|503|409)$/)]);
    expect(names['submit']).toBe('503');
    expect(system.getStats()).toMatchObject({ status: 'stopped', tasks: { running: 0 }, eventLog: { state: 'closed' } });
  });

  it('abandons a task that ignores its signal, and the next start runs it with its attempt unburnt', async () => {
    const first = await start({ deaf: () => new Promise(() => {}) });
    const task = await first.submit('deaf', { input: 1 });
    await first.shutdown({ timeoutMs: 5 });
    const second = await start({ deaf: async (_: unknown, ctx: TaskContext) => [ctx.attempt, ctx.fence] });
    expect(await second.result(task)).toEqual([1, 2]);
    expect(await typesOf(second, task)).toEqual(['created', 'start', 'retry', 'start', 'complete']);
  });

  it('counts what it releases, with and without a signal heard, as retried in the statistics', async () => {
    const system = await start({ deaf: () => new Promise<void>(() => {}), hangs });
    for (const name of ['deaf', 'hangs', 'echo']) await system.submit(name, { input: 1 });
    const before = await eventually(
      () => system.getStats().tasks,
      ({ running, completed }) => running === 2 && completed === 1,
    );
    expect(before.retried).toBe(0);
    await system.shutdown({ timeoutMs: 0 });
    expect(system.getStats().tasks).toMatchObject({ running: 0, completed: 1, failed: 0, cancelled: 0, recovered: 0, retried: 2 });
  });

  it('keeps the backoff of a failed attempt over the restart', async () => {
    const fails: TaskDefinition = {
      retry: { initialDelayMs: 3_600_000, maxDelayMs: 3_600_000, jitter: false },
      handler: async () => Promise.reject(new Error('later')),
    };
    const first = await start({ fails });
    const task = await first.submit('fails', { input: 1 });
    await eventually(
      async () => (await first.getStatus(task))!.lastSeq,
      (seq) => seq === 3,
    );
    await first.shutdown();
    const second = await start({ fails });
    await eventually(
      () => second.getStats().tasks.delayed,
      (count) => count === 1,
    );
    expect(await second.getStatus(task)).toMatchObject({ status: 'created', attempt: 2, lastSeq: 3, error: { message: 'later' } });
    expect(await second.cancel(task)).toMatchObject({ status: 'cancelled', attempt: 2 });
  });

  it('in the middle of a start ends in a stopped system and a free log', async () => {
    const system = await make();
    const starting = system.initialize().catch((error: unknown) => error);
    await system.shutdown();
    await starting;
    expect(system.getStats().status).toBe('stopped');
    const next = await start();
    expect(await next.result(await next.submit('echo', { input: 1 }))).toBe(1);
  });
});

describe('what handlers may do', () => {
  it('throw anything, at once or later, with or without async: it is a failed attempt', async () => {
    const hostile = new Proxy(
      {},
      {
        get: () => {
          throw new Error('no');
        },
      },
    );
    const throwers: Record<string, TaskDefinition['handler']> = {
      sync: () => {
        throw new Error('sync');
      },
      undefined: async () => Promise.reject(undefined),
      text: async () => Promise.reject('just text'),
      hostile: async () => Promise.reject(hostile),
      huge: async () => Promise.reject(new Error('x'.repeat(1_000_000))),
      generator: async function* () {
        yield { type: 'progress', payload: 1 };
        throw new NonRetryableError('in between');
      },
      yields: async function* () {
        yield { type: 'complete', payload: 1 };
      },
      number: async function* () {
        yield 7 as never;
      },
    };
    const system = await start(throwers);
    const messages: Record<string, string> = {};
    for (const name of Object.keys(throwers)) {
      const task = await system.submit(name, { input: 1, maxAttempts: 1 });
      await errorOf(() => system.result(task));
      const status = (await system.getStatus(task))!;
      expect([name, status.status, (await typesOf(system, task)).at(-1)]).toEqual([name, 'failed', 'error']);
      messages[name] = status.error!.message.slice(0, 100);
    }
    expect(messages).toMatchObject({
      sync: 'sync',
      text: 'just text',
      generator: 'in between',
      yields: expect.stringContaining('progress'),
      number: expect.stringContaining('object'),
    });
    expect(system.getStats().tasks).toMatchObject({ failed: 8, running: 0 });
  });

  it('change their input as they like: the next attempt gets it as it was submitted', async () => {
    const system = await start({
      changes: {
        retry: { maxAttempts: 2, initialDelayMs: 0 },
        handler: async (input: { list: number[] }, ctx) => {
          input.list.push(99);
          if (ctx.attempt === 1) throw new Error('again');
          return input.list;
        },
      },
    });
    const input = { list: [1] };
    const task = await system.submit('changes', { input });
    input.list.push(2);
    expect(await system.result(task)).toEqual([1, 99]);
    expect((await system.getStatus(task))!.input).toEqual({ list: [1] });
    expect(Object.isFrozen(task)).toBe(true);
    expect(JSON.parse(JSON.stringify(task)).createdAt).toBe(task.createdAt.toISOString());
  });

  it('submit, await and cancel other tasks', async () => {
    let system!: TaskSystem;
    system = await start({
      parent: async (n: number) => {
        const children = await Promise.all(Array.from({ length: n }, (_, at) => system.submit('echo', { input: at })));
        const hanging = await system.submit('hangs', { input: null });
        await system.cancel(hanging);
        return (await Promise.all(children.map((child) => system.result<number>(child)))).reduce((a, b) => a + b, 0);
      },
      hangs,
    });
    expect(await system.result(await system.submit('parent', { input: 5 }))).toBe(10);
  });

  it('stop a generator at the signal: its finally runs, and what it yields there is not written', async () => {
    let cleaned = false;
    const system = await start({
      endless: async function* () {
        try {
          for (let n = 0; ; n++) {
            yield { type: 'progress', payload: n };
            await new Promise((resolve) => setImmediate(resolve));
          }
        } finally {
          cleaned = true;
        }
      },
    });
    const task = await system.submit('endless', { input: 1 });
    await firstValueFrom(system.subscribe(task).pipe(take(5), toArray()));
    await system.cancel(task);
    await errorOf(() => system.result(task));
    expect(cleaned).toBe(true);
    const types = await typesOf(system, task);
    expect([types.at(-1), types.filter((type) => type === 'cancelled').length]).toEqual(['cancelled', 1]);
  });
});

describe('at the same moment', () => {
  it('two cancels, two retries by hand, a cancel and an end: one of them counts, the other is told', async () => {
    const system = await start({ hangs, fails: { retry: { maxAttempts: 1 }, handler: async () => Promise.reject(new Error('no')) } });
    const running = await system.submit('hangs', { input: 1 });
    const cancelled = await Promise.all([system.cancel(running), system.cancel(running), system.cancel(running)]);
    expect(cancelled.every(({ status }) => status === 'running' || status === 'cancelled')).toBe(true);
    await errorOf(() => system.result(running));
    expect(await typesOf(system, running)).toEqual(['created', 'start', 'cancelled']);

    const dead = await system.submit('fails', { input: 1 });
    await errorOf(() => system.result(dead));
    const retried = await Promise.allSettled([system.deadLetters.retry(dead), system.deadLetters.retry(dead)]);
    expect(retried.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
    expect(ConflictError.is(retried.find((each) => each.status === 'rejected')!.reason)).toBe(true);

    for (let n = 0; n < 50; n++) {
      const task = await system.submit('echo', { input: n });
      const [cancel] = await Promise.allSettled([system.cancel(task)]);
      const status = await eventually(
        async () => (await system.getStatus(task))!.status,
        (now) => now !== 'running',
      );
      if (cancel.status === 'rejected') expect([ConflictError.is(cancel.reason), status]).toEqual([true, 'completed']);
      else expect(status).toBe('cancelled');
      expect((await typesOf(system, task)).length).toBe(3);
    }
  });

  it('a result waits for the life that was current when it was asked for', async () => {
    let works = false;
    const system = await start({
      flaky: { retry: { maxAttempts: 1 }, handler: async () => (works ? 'second life' : Promise.reject(new Error('first life'))) },
    });
    const task = await system.submit('flaky', { input: 1 });
    expect((await errorOf(() => system.result(task))).message).toContain('first life');
    expect((await errorOf(() => system.result(task))).message).toContain('first life');
    works = true;
    await system.deadLetters.retry(task);
    expect(await system.result(task)).toBe('second life');
    const abort = new AbortController();
    const hanging = system.result(await system.submit('echo', { input: 1, delayMs: 3_600_000 }), { signal: abort.signal });
    abort.abort(new Error('enough'));
    await expect(hanging).rejects.toThrow('enough');
  });
});

describe('createTaskSystem', () => {
  it('takes hooks that win over those of the options, and copies the options', async () => {
    const lines: unknown[] = [];
    const options = folder.options({ executor: { enabled: false } });
    const system = await createTaskSystem(options, {
      logger: { log: (line: unknown) => lines.push(line), warn: (line: unknown) => lines.push(line), error: () => {} },
    });
    options.executor!.enabled = true;
    system.defineTask('echo', { handler: async () => 1 });
    await system.initialize();
    const task = await system.submit('echo', { input: 1 });
    expect(task.status).toBe('created');
    expect(system.getStats().tasks).toMatchObject({ running: 0, queued: 1 });
    await system.shutdown();
    const second = await folder.system();
    await second.initialize();
  });
});
