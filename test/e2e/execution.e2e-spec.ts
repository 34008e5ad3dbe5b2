import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import {
  ConflictError,
  HandlerNotFoundError,
  NonRetryableError,
  type RecoveryContext,
  SlotTimeoutError,
  type Task,
  TaskCancelledError,
  type TaskContext,
  TaskFailedError,
  type TaskflowOptionsInput,
  type TaskDefinition,
  type TaskEvent,
  type TaskSystem,
} from 'nestjs-taskflow';
import { ChildApp } from '../support/process/child-app.js';
import { eventually } from '../support/clock/patience.js';
import { TestFolder } from '../support/process/task-system.js';

let folder: TestFolder;
beforeEach(async () => {
  folder = await TestFolder.create();
});
afterEach(async () => {
  await folder.dispose();
});

async function start(
  tasks: Record<string, TaskDefinition | TaskDefinition['handler']>,
  options: TaskflowOptionsInput = {},
): Promise<TaskSystem> {
  const system = await folder.system({ executor: { tickIntervalMs: 5 }, ...options });
  for (const [name, task] of Object.entries(tasks)) system.defineTask(name, typeof task === 'function' ? { handler: task } : task);
  await system.initialize();
  return system;
}
const run = async (system: TaskSystem, name: string, input: unknown = null, more: object = {}) =>
  system.result(await system.submit(name, { input, ...more }));
const eventsOf = async (system: TaskSystem, task: Task): Promise<TaskEvent[]> => {
  const events = [];
  for await (const event of system.subscribe(task)) if (event.seq !== undefined) events.push(event);
  return events;
};
const typesOf = async (system: TaskSystem, task: Task): Promise<string[]> => (await eventsOf(system, task)).map(({ type }) => type);
const untilAborted = (ctx: TaskContext): Promise<never> =>
  new Promise((_, reject) => ctx.signal.addEventListener('abort', () => reject(ctx.signal.reason)));
/** A door that handlers wait at. */
function door() {
  let open!: () => void;
  const opened = new Promise<void>((resolve) => (open = resolve));
  return { open, opened };
}

describe('handlers', () => {
  it('may be promises or async generators; what they yield and emit is streamed, what they return is the result', async () => {
    const system = await start({
      promise: async (n: number, ctx) => {
        await ctx.emit('rows', { n });
        return n * 2;
      },
      generator: async function* (n: number) {
        yield { type: 'progress', payload: { at: 1 } };
        yield { type: 'progress', message: 'half way' };
        yield { type: 'custom', eventName: 'file', payload: 'a.csv' };
        return n * 3;
      },
      nothing: async () => undefined,
    });
    expect(await run(system, 'promise', 2)).toBe(4);
    expect(await run(system, 'nothing')).toBeUndefined();
    const task = await system.submit('generator', { input: 2 });
    expect(await system.result(task)).toBe(6);
    const events = await eventsOf(system, task);
    expect(events.map(({ type, eventName, payload }) => [type, eventName, payload]).slice(2)).toEqual([
      ['progress', undefined, { at: 1 }],
      ['progress', undefined, { message: 'half way' }],
      ['custom', 'file', 'a.csv'],
      ['complete', undefined, { result: 6 }],
    ]);
    expect(events.every(({ taskId, timestamp, attempt }) => taskId === task.id && timestamp > 0 && attempt === 1)).toBe(true);
  });

  it('see who they are, and the events of earlier attempts', async () => {
    const seen: unknown[] = [];
    const system = await start({
      flaky: {
        retry: { maxAttempts: 2, initialDelayMs: 0 },
        handler: async (_, ctx) => {
          const history = [];
          for await (const { type } of ctx.history()) history.push(type);
          seen.push([ctx.attempt, ctx.fence, ctx.previousEvents.map(({ type }) => type), history]);
          await ctx.progress({ attempt: ctx.attempt });
          if (ctx.attempt === 1) throw new Error('again');
          return [ctx.name, ctx.userId, ctx.idempotencyKey, ctx.maxAttempts];
        },
      },
    });
    expect(await run(system, 'flaky', null, { userId: 'alice', idempotencyKey: 'k' })).toEqual(['flaky', 'alice', 'k', 2]);
    const before = ['created', 'start', 'progress', 'retry'];
    expect(seen[0]).toEqual([1, 1, [], ['created']]);
    expect(seen[1]).toMatchObject([2, 2, expect.arrayContaining(['progress', 'retry']), before]);
  });

  it('show heartbeats to live subscribers without a seq, and never again', async () => {
    const wait = door();
    const system = await start({ slow: () => wait.opened }, { executor: { heartbeatIntervalMs: 5, tickIntervalMs: 5 } });
    const task = await system.submit('slow', { input: null });
    const beats: TaskEvent[] = [];
    for await (const event of system.subscribe(task)) {
      if (event.type === 'heartbeat') beats.push(event);
      if (beats.length === 2) break;
    }
    expect(beats.map(({ seq }) => seq)).toEqual([undefined, undefined]);
    expect((await system.getStatus(task))!.lastHeartbeatAt!.getTime()).toBeGreaterThan(0);
    wait.open();
    await system.result(task);
    const replayed = [];
    for await (const { type } of system.subscribe(task)) replayed.push(type);
    expect(replayed).toEqual(['created', 'start', 'complete']);
  });
});

describe('attempts', () => {
  it('are repeated up to maxAttempts, with the reason in each retry, then the task fails', async () => {
    const system = await start({
      broken: {
        retry: { maxAttempts: 3, initialDelayMs: 1, jitter: false },
        handler: async (_, ctx) => Promise.reject(Object.assign(new Error(`no ${ctx.attempt}`), { code: 'E_NO' })),
      },
    });
    const task = await system.submit('broken', { input: null });
    const error: unknown = await system.result(task).catch((reason: unknown) => reason);
    expect(TaskFailedError.is(error) && error.task).toMatchObject({
      status: 'failed',
      attempt: 3,
      error: { message: 'no 3', code: 'E_NO', retryable: true },
      deadLetteredAt: expect.any(Date),
    });
    const retries = (await eventsOf(system, task)).filter(({ type }) => type === 'retry');
    expect(retries.map(({ payload }) => [payload.reason, payload.error.message])).toEqual([
      ['failed', 'no 1'],
      ['failed', 'no 2'],
    ]);
    expect(await run(system, 'broken', null, { maxAttempts: 1 }).catch(({ task: { attempt } }) => attempt)).toBe(1);
  });

  it('stop at NonRetryableError, at an input that no longer passes, and at a result that is too large', async () => {
    const system = await start(
      {
        final: async () => Promise.reject(new NonRetryableError('never')),
        large: async () => 'x'.repeat(100),
        circular: async () => {
          const value: Record<string, unknown> = {};
          return (value['self'] = value);
        },
      },
      { limits: { maxResultBytes: 50 } },
    );
    for (const [name, message] of [
      ['final', 'never'],
      ['large', '50 bytes'],
      ['circular', 'cycle'],
    ] as const) {
      const task = await system.submit(name, { input: null });
      await expect(system.result(task)).rejects.toMatchObject({
        task: { attempt: 1, error: { retryable: false, message: expect.stringContaining(message) } },
      });
      expect(await typesOf(system, task)).toEqual(['created', 'start', 'error']);
    }
  });

  it('fail retryably when an event cannot be stored, and the event is nowhere', async () => {
    const system = await start(
      {
        chatty: {
          retry: { maxAttempts: 2, initialDelayMs: 0 },
          handler: async (_, ctx) => {
            if (ctx.attempt === 1) await ctx.progress('x'.repeat(1_000)).catch(() => undefined);
            return ctx.attempt;
          },
        },
      },
      { limits: { maxEventBytes: 500 } },
    );
    const task = await system.submit('chatty', { input: null });
    expect(await system.result(task)).toBe(2);
    expect(await typesOf(system, task)).toEqual(['created', 'start', 'retry', 'start', 'complete']);
  });

  it('time out one by one, retryably, with the reason in the signal', async () => {
    const reasons: string[] = [];
    const system = await start({
      slow: {
        timeoutMs: 20,
        retry: { maxAttempts: 2, initialDelayMs: 0 },
        handler: async (_, ctx) => untilAborted(ctx).catch((error: Error) => (reasons.push(error.name), 'too late')),
      },
    });
    const task = await system.submit('slow', { input: null });
    await expect(system.result(task)).rejects.toMatchObject({
      task: { attempt: 2, error: { name: 'TaskTimeoutError', code: 'TASK_TIMEOUT' } },
    });
    expect(reasons).toEqual(['TaskTimeoutError', 'TaskTimeoutError']);
    await expect(run(system, 'slow', null, { timeoutMs: 5, maxAttempts: 1 })).rejects.toMatchObject({ task: { timeoutMs: 5, attempt: 1 } });
  });
});

describe('cancel', () => {
  it('of a waiting task ends it; of a running one fires its signal; of an ended one is a conflict', async () => {
    const reasons: unknown[] = [];
    const system = await start({
      slow: async (_, ctx) => untilAborted(ctx).catch((error) => (reasons.push(error), 'result that does not count')),
      quick: async () => 1,
    });
    const later = await system.submit('quick', { input: null, delayMs: 3_600_000 });
    expect(await system.cancel(later, { reason: 'changed my mind' })).toMatchObject({ status: 'cancelled' });
    expect((await eventsOf(system, later)).at(-1)).toMatchObject({ type: 'cancelled', payload: { reason: 'changed my mind' } });
    expect(await system.cancel(later)).toMatchObject({ status: 'cancelled' });
    await expect(system.result(later)).rejects.toThrow(TaskCancelledError);

    const task = await system.submit('slow', { input: null });
    expect(await system.cancel(task)).toMatchObject({ status: 'running', cancelRequestedAt: expect.any(Date) });
    await expect(system.result(task)).rejects.toThrow(TaskCancelledError);
    expect(TaskCancelledError.is(reasons[0])).toBe(true);
    expect(await system.getStatus(task)).toMatchObject({ status: 'cancelled' });

    const done = await system.submit('quick', { input: null });
    await system.result(done);
    const error: unknown = await system.cancel(done).catch((reason: unknown) => reason);
    expect(ConflictError.is(error) && error.code).toBe('TASK_ENDED');
    expect(system.getStats().tasks).toMatchObject({ cancelled: 2, completed: 1 });
  });

  it('of a running task holds when the process is killed before the handler ends', async () => {
    const options = folder.options({ hooks: undefined });
    const app = await ChildApp.start(options);
    const { id } = await app.ask('submit', { name: 'deaf', params: { input: null } });
    expect((await app.ask('cancel', { ref: { taskId: id }, owner: { reason: 'wrong file' } }))['task']).toMatchObject({
      status: 'running',
    });
    await app.kill();
    const system = await start({ deaf: async () => 'ran again' });
    await expect(system.result({ taskId: id })).rejects.toThrow(TaskCancelledError);
    const events = await eventsOf(system, (await system.getStatus({ taskId: id }))!);
    expect(events.map(({ type }) => type)).toEqual(['created', 'start', 'cancelled']);
    expect(events.at(-1)!.payload).toEqual({ reason: 'wrong file' });
    expect(system.getStats().tasks).toMatchObject({ cancelled: 1, recovered: 0 });
  });
});

describe('order and time', () => {
  it('runs the lower priority first among a user’s tasks', async () => {
    const wait = door();
    const order: number[] = [];
    const system = await start(
      {
        work: async (n: number) => {
          await wait.opened;
          order.push(n);
        },
      },
      { guard: { slots: { maxExecutionGlobal: 1 } } },
    );
    const tasks = [];
    for (const [n, priority] of [
      [0, 0],
      [1, 5],
      [2, -5],
      [3, 0],
      [4, 0],
    ] as const)
      tasks.push(await system.submit('work', { input: n, priority, userId: 'alice' }));
    wait.open();
    await Promise.all(tasks.map((task) => system.result(task)));
    expect(order).toEqual([0, 2, 3, 4, 1]);
  });

  it('gives a user with one task a turn between another one’s hundred', async () => {
    const wait = door();
    const order: string[] = [];
    const system = await start(
      {
        work: async (_, ctx) => {
          await wait.opened;
          order.push(ctx.userId!);
        },
      },
      { guard: { slots: { maxExecutionGlobal: 1 } } },
    );
    const tasks = [];
    for (let n = 0; n < 100; n++) tasks.push(await system.submit('work', { input: n, userId: 'alice' }));
    tasks.push(await system.submit('work', { input: 0, userId: 'bob' }));
    wait.open();
    await Promise.all(tasks.map((task) => system.result(task)));
    expect(order.indexOf('bob')).toBeLessThan(4);
  });

  it('never runs more at once than slots allow: per user, per handler, in all', async () => {
    const now = { all: 0, alice: 0, bob: 0, rare: 0 };
    const most = { ...now };
    const handler = async (_: unknown, ctx: TaskContext): Promise<void> => {
      const counts = ['all', ctx.userId, ctx.name].filter((key): key is keyof typeof now => key! in now);
      for (const key of counts) most[key] = Math.max(most[key], ++now[key]);
      await new Promise((resolve) => setImmediate(resolve));
      for (const key of counts) now[key]--;
    };
    const system = await start(
      { work: handler, rare: { maxConcurrentExecutions: 1, handler } },
      { guard: { slots: { maxExecutionGlobal: 4, maxExecutionPerUser: 3 } } },
    );
    const tasks = await Promise.all(
      Array.from({ length: 120 }, (_, n) =>
        system.submit(n % 3 === 0 ? 'rare' : 'work', { input: n, userId: n % 2 === 0 ? 'alice' : 'bob' }),
      ),
    );
    await Promise.all(tasks.map((task) => system.result(task)));
    expect(most).toMatchObject({ all: 4, alice: 3, rare: 1 });
    expect(most['bob']).toBeLessThanOrEqual(3);
    await eventually(
      () => system.getStats().guard.slotsInUse,
      (inUse) => inUse === 0,
    );
  });

  it('creates nothing when no slot comes free in time, and starts at once when one does', async () => {
    const wait = door();
    const system = await start({ slow: () => wait.opened }, { guard: { slots: { maxExecutionGlobal: 1, slotTimeoutMs: 30 } } });
    const first = await system.submit('slow', { input: 1, waitForSlot: true });
    const error: unknown = await system.submit('slow', { input: 2, waitForSlot: true }).catch((reason: unknown) => reason);
    expect(SlotTimeoutError.is(error) && error.timeoutMs).toBe(30);
    expect((await system.list()).items.map(({ id }) => id)).toEqual([first.id]);
    expect(system.getStats().guard.rejections.slot).toBe(1);
    wait.open();
    await system.result(first);
    expect(await run(system, 'slow', 3, { waitForSlot: true })).toBeUndefined();
  });

  it('starts a delayed task when it is due, not before, and remembers it over a restart', async () => {
    const startedAt: number[] = [];
    const quick = async (): Promise<void> => void startedAt.push(Date.now());
    const first = await start({ quick });
    const soon = await first.submit('quick', { input: null, delayMs: 60 });
    const runAt = new Date(Date.now() + 3_600_000);
    const late = await first.submit('quick', { input: null, runAt });
    await first.result(soon);
    expect(first.getStats().tasks).toMatchObject({ delayed: 1 });
    expect(startedAt[0]).toBeGreaterThanOrEqual(soon.runAt.getTime());
    await first.shutdown();
    const second = await start({ quick });
    await eventually(
      () => second.getStats().tasks.delayed,
      (delayed) => delayed === 1,
    );
    expect(await second.getStatus(late)).toMatchObject({ status: 'created', runAt });
    expect(startedAt).toHaveLength(1);
    const due = await second.submit('quick', { input: null, runAt: new Date(0) });
    await second.result(due);
  });
});

describe('after a restart', () => {
  it('parks a task whose handler is gone, and runs it when the handler is defined', async () => {
    const first = await start({ old: async () => 'unused' }, { executor: { enabled: false } });
    const task = await first.submit('old', { input: { n: 1 }, tags: ['a'] });
    const unwanted = await first.submit('old', { input: { n: 2 } });
    await first.shutdown();
    const second = await start({});
    await eventually(
      () => second.getStats().tasks.withoutHandler,
      (count) => count === 2,
    );
    expect(await second.getStatus(task)).toMatchObject({ status: 'created', tags: ['a'] });
    await expect(second.submit('old', { input: null })).rejects.toThrow(HandlerNotFoundError);
    expect(await second.cancel(unwanted)).toMatchObject({ status: 'cancelled', input: { n: 2 } });
    second.defineTask('old', { handler: async ({ n }: { n: number }) => n });
    expect(await second.result(task)).toBe(1);
    expect(second.getStats().tasks.withoutHandler).toBe(0);
  });

  it('asks recover() first: its result completes, false goes on to handle, a throw is a failed attempt', async () => {
    const options = folder.options({ hooks: undefined });
    const app = await ChildApp.start(options);
    const ids: Record<string, string> = {};
    for (const kind of ['done', 'goOn', 'throws'])
      ids[kind] = (await app.ask('submit', { name: 'import', params: { input: { kind } } }))['id'];
    await app.hears((message) => message['waiting'] === ids['throws']);
    await app.kill();

    const contexts: Pick<RecoveryContext, 'reason' | 'lastSeq' | 'fence'>[] = [];
    const handled: string[] = [];
    const system = await start({
      import: {
        retry: { maxAttempts: 2, initialDelayMs: 0 },
        handler: async ({ kind }: { kind: string }, ctx) => (handled.push(`${kind} ${ctx.attempt}`), 'handled'),
        recovery: async (task, ctx) => {
          contexts.push({ reason: ctx.reason, lastSeq: ctx.lastSeq, fence: ctx.fence });
          expect(ctx.previousEvents.map(({ type }) => type)).toContain('progress');
          expect(ctx.timeSinceLastEventMs).toBeGreaterThanOrEqual(0);
          if (task.input.kind === 'throws') throw new Error('cannot recover');
          return task.input.kind === 'done' ? { recovered: true, result: 'recovered' } : { recovered: false };
        },
      },
    });
    const results = await Promise.all(['done', 'goOn', 'throws'].map((kind) => system.result({ taskId: ids[kind]! })));
    expect(results).toEqual(['recovered', 'handled', 'handled']);
    expect(handled.sort()).toEqual(['goOn 1', 'throws 2']);
    expect(contexts).toEqual(Array.from({ length: 3 }, () => ({ reason: 'crash', lastSeq: 3, fence: 2 })));
    const types = await typesOf(system, (await system.getStatus({ taskId: ids['throws']! }))!);
    expect(types).toEqual(['created', 'start', 'progress', 'recovered', 'start', 'retry', 'start', 'complete']);
    expect(system.getStats().tasks.recovered).toBe(3);
  });

  it('fails a task whose process died more often than maxRecoveriesPerTask allows, for good and by hand', async () => {
    const app = await ChildApp.start(folder.options({ hooks: undefined }));
    const { id } = await app.ask('submit', { name: 'deaf', params: { input: null } });
    await app.kill();
    const system = await start({ deaf: async () => 'fine now' }, { recovery: { maxRecoveriesPerTask: 0 } });
    await expect(system.result({ taskId: id })).rejects.toMatchObject({
      task: { status: 'failed', error: { code: 'CRASH_LOOP', retryable: false } },
    });
    expect(system.getStats().tasks).toMatchObject({ failed: 1, recovered: 0 });
    await system.deadLetters.retry({ taskId: id });
    expect(await system.result({ taskId: id })).toBe('fine now');
  });
});
