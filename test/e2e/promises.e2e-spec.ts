import { readFileSync, readdirSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { DataSource } from 'typeorm';
import {
  BackpressureError,
  ConflictError,
  EventLogLockedError,
  NotFoundError,
  type TaskContext,
  TaskFailedError,
  ValidationError,
} from 'nestjs-taskflow';
import { ChildApp } from '../support/process/child-app.js';
import { eventually } from '../support/clock/patience.js';
import { caughtUp, TestFolder } from '../support/process/task-system.js';

let folder: TestFolder;
beforeEach(async () => {
  folder = await TestFolder.create();
});
afterEach(async () => {
  await folder.dispose();
});

const logText = (): string =>
  readdirSync(folder.path)
    .filter((name) => name.endsWith('.log'))
    .sort()
    .map((name) => readFileSync(folder.file(name), 'utf8'))
    .join('');

const seqsOf = async (events: AsyncIterable<{ seq?: number | undefined }>): Promise<number[]> => {
  const seqs: number[] = [];
  for await (const { seq } of events) if (seq !== undefined) seqs.push(seq);
  return seqs;
};
const upTo = (n: number, from = 1): number[] => Array.from({ length: n - from + 1 }, (_, at) => from + at);

describe('P1 Durable ack', () => {
  it('keeps every task whose submit resolved, when the process kills itself right after', async () => {
    const first = await ChildApp.start(folder.options({ hooks: undefined }));
    first.send('submitThenDie', { count: 100 });
    expect((await first.exited()).signal).toBe('SIGKILL');
    const acked = first.said.filter((message) => message['acked'] !== undefined).map((message) => message['acked'] as string);
    expect(acked).toHaveLength(100);

    const second = await ChildApp.start(folder.options({ hooks: undefined }));
    for (const id of acked) expect((await second.ask('status', { ref: { taskId: id } }))['task']).toMatchObject({ id });
    await second.kill();
  });
});

describe('P2 Durable before visible', () => {
  it('shows an event to subscribers and in the status only once its line is in the log', async () => {
    const system = await folder.system();
    system.defineTask('work', {
      handler: async (_, ctx: TaskContext) => {
        for (let step = 1; step <= 20; step++) void ctx.progress({ step });
      },
    });
    await system.initialize();
    const task = await system.submit('work', { input: 1 });
    expect(logText()).toContain(`"e":"created","t":"${task.id}"`);
    let checked = 0;
    for await (const event of system.subscribe(task)) {
      expect(logText()).toContain(`"e":"${event.type}","t":"${task.id}","q":${event.seq}`);
      const { lastSeq } = (await system.getStatus(task))!;
      expect(logText()).toContain(`"t":"${task.id}","q":${lastSeq}`);
      checked++;
    }
    expect(checked).toBe(23);
  });
});

describe('P3 One order', () => {
  it('numbers events 1, 2, 3 … across a failed attempt, a dead-letter retry and a restart', async () => {
    let runs = 0;
    const define = async () => {
      const system = await folder.system();
      system.defineTask('flaky', {
        retry: { maxAttempts: 2, initialDelayMs: 0 },
        handler: async (_, ctx: TaskContext) => {
          await ctx.progress({ run: ++runs });
          if (runs <= 2) throw new Error('not yet');
        },
      });
      await system.initialize();
      return system;
    };
    const first = await define();
    const task = await first.submit('flaky', { input: null });
    await expect(first.result(task)).rejects.toThrow(TaskFailedError);
    await first.shutdown();

    const second = await define();
    await second.deadLetters.retry(task);
    await second.result(task);
    const events = [];
    for await (const event of second.subscribe(task)) events.push([event.seq, event.type]);
    expect(events).toEqual(
      ['created', 'start', 'progress', 'retry', 'start', 'progress', 'error', 'retry', 'start', 'progress', 'complete'].map((type, at) => [
        at + 1,
        type,
      ]),
    );
  });
});

describe('P4 Exact resume', () => {
  it('gives n+1, n+2 … once each for every n, live, from memory, and from the database after a restart', async () => {
    const define = async () => {
      const system = await folder.system({ stream: { streamBufferSize: 8 } });
      system.defineTask('work', {
        handler: async (_, ctx: TaskContext) => {
          for (let step = 1; step <= 40; step++) await ctx.progress({ step });
        },
      });
      await system.initialize();
      return system;
    };
    const first = await define();
    const task = await first.submit('work', { input: 1 });
    // While it runs: a new subscriber behind every event that the first one sees.
    const live: Promise<number[]>[] = [];
    for await (const { seq } of first.subscribe(task)) live.push(seqsOf(first.subscribe(task, { lastSeq: seq! })));
    expect(live).toHaveLength(43);
    (await Promise.all(live)).forEach((seqs, at) => expect(seqs).toEqual(upTo(43, at + 2)));
    for (const n of upTo(43, 0)) expect(await seqsOf(first.subscribe(task, { lastSeq: n }))).toEqual(upTo(43, n + 1));
    await first.shutdown();

    const second = await define();
    for (const n of upTo(43, 0)) expect(await seqsOf(second.subscribe(task, { lastSeq: n }))).toEqual(upTo(43, n + 1));
  });

  it('refuses a position beyond the head of an unfinished task, naming the field', async () => {
    const system = await folder.system();
    system.defineTask('wait', {
      handler: (_, ctx: TaskContext) =>
        new Promise((_resolve, reject) => ctx.signal.addEventListener('abort', () => reject(new Error('over')))),
    });
    await system.initialize();
    const task = await system.submit('wait', { input: 1 });
    await expect(system.sse(task, { lastSeq: 99 })).rejects.toMatchObject({ name: 'ValidationError', field: 'lastSeq' });
  });
});

describe('P5 One outcome per life', () => {
  it('refuses what a run writes after it timed out, and keeps its one terminal event', async () => {
    const system = await folder.system({ shutdown: { forceKillTimeoutMs: 20 } });
    let late: Promise<unknown> | undefined;
    let wakeUp: (() => void) | undefined;
    const asleep = new Promise<void>((resolve) => (wakeUp = resolve));
    system.defineTask('deaf', {
      timeoutMs: 20,
      retry: { maxAttempts: 1 },
      handler: async (_, ctx: TaskContext) => {
        await asleep;
        late = ctx.progress({ late: true }).then(
          () => 'written',
          (error: unknown) => error,
        );
        return 'late result';
      },
    });
    await system.initialize();
    const task = await system.submit('deaf', { input: 1 });
    await expect(system.result(task)).rejects.toMatchObject({ task: { status: 'failed', error: { name: 'TaskTimeoutError' } } });
    wakeUp?.();
    await eventually(
      () => late,
      (value) => value !== undefined,
    );
    expect(ConflictError.is(await late)).toBe(true);
    const types = [];
    for await (const event of system.subscribe(task)) types.push(event.type);
    expect(types).toEqual(['created', 'start', 'error']);
  });
});

describe('P6 At least once', () => {
  it('runs a task again only because its process died, goes on from its last event, and runs ended tasks no more', async () => {
    const options = folder.options({ hooks: undefined });
    const first = await ChildApp.start(options);
    const { id: ended } = await first.ask('submit', { name: 'quick', params: { input: 1 } });
    await first.ask('result', { ref: { taskId: ended } });
    const { id } = await first.ask('submit', { name: 'count', params: { input: { rows: 10, dieAt: 4 } } });
    expect((await first.exited()).signal).toBe('SIGKILL');

    const second = await ChildApp.start(options);
    expect(await second.ask('result', { ref: { taskId: id } })).toMatchObject({ result: { rows: 10 } });
    const { events } = await second.ask('events', { ref: { taskId: id }, lastSeq: 0 });
    expect(events.map((event: { type: string }) => event.type)).toEqual([
      'created',
      'start',
      ...Array.from({ length: 4 }, () => 'progress'),
      'recovered',
      'start',
      ...Array.from({ length: 6 }, () => 'progress'),
      'complete',
    ]);
    expect(events.map((event: { seq: number }) => event.seq)).toEqual(upTo(events.length));
    expect((await second.ask('status', { ref: { taskId: ended } }))['task']).toMatchObject({ status: 'completed', fence: 1 });
    expect(second.said.filter((message) => message['started'] !== undefined)).toMatchObject([{ started: id, fence: 2, attempt: 1 }]);
    await second.kill();
  });
});

describe('P7 Exact projection', () => {
  it('has in the rows what the log folds to, with the cursor at the end of the log', async () => {
    const system = await folder.system();
    system.defineTask('work', { handler: async (n: number, ctx: TaskContext) => (await ctx.progress(n), n * 2) });
    system.defineTask('fail', { retry: { maxAttempts: 1 }, handler: async () => Promise.reject(new Error('no')) });
    await system.initialize();
    const tasks = [];
    for (let n = 0; n < 50; n++) tasks.push(await system.submit(n % 5 === 0 ? 'fail' : 'work', { input: n }));
    await Promise.allSettled(tasks.map((task) => system.result(task)));
    const states = await Promise.all(tasks.map((task) => system.getStatus(task)));
    const { durableSeq } = system.getStats().eventLog;
    await caughtUp(system);
    await system.shutdown();

    const database = await new DataSource({ type: 'sqlite', database: folder.file('tasks.db') }).initialize();
    const [cursor] = await database.query('SELECT applied_seq FROM taskflow_cursor');
    expect(Number(cursor.applied_seq)).toBe(durableSeq);
    for (const state of states) {
      const [row] = await database.query('SELECT status, last_seq, fence, attempt FROM taskflow_tasks WHERE id = ?', [state!.id]);
      expect(row).toMatchObject({ status: state!.status, last_seq: state!.lastSeq, fence: state!.fence, attempt: state!.attempt });
      const events = await database.query('SELECT seq FROM taskflow_events WHERE task_id = ? ORDER BY seq', [state!.id]);
      expect(events.map((event: { seq: number }) => event.seq)).toEqual(upTo(state!.lastSeq));
    }
    await database.destroy();
  });
});

describe('P8 Nothing unflushed is deleted', () => {
  it('keeps every segment while the database is unreachable, whatever retentionCount says, and deletes once it has caught up', async () => {
    const blocker = await new DataSource({ type: 'sqlite', database: folder.file('tasks.db') }).initialize();
    await blocker.query('PRAGMA locking_mode=EXCLUSIVE');
    await blocker.query('BEGIN EXCLUSIVE');
    const system = await folder.system({ eventLog: { maxSizeBytesPerFile: 4096, retentionCount: 1 } });
    system.defineTask('quick', { handler: async () => 1 });
    await system.initialize();
    for (let n = 0; n < 200; n++) await system.submit('quick', { input: { n } });
    const segments = (): number => readdirSync(folder.path).filter((name) => /^events-\d{16}\.log$/.test(name)).length;
    const kept = segments();
    expect(kept).toBeGreaterThan(5);
    expect(system.getStats().flush.appliedSeq).toBe(0);

    await blocker.query('ROLLBACK');
    await blocker.destroy();
    await eventually(
      () => system.getStats(),
      ({ flush, eventLog }) => flush.appliedSeq === eventLog.durableSeq,
    );
    for (let n = 0; n < 30; n++) await system.submit('quick', { input: { n } });
    await eventually(segments, (count) => count < kept && count <= 4);
  });
});

describe('P9 Bounded', () => {
  it('refuses with a typed error beyond each limit, and accepts again when there is room', async () => {
    const system = await folder.system({
      executor: { enabled: false },
      guard: { backpressure: { maxTasksPerWindow: 100, maxTasksPerUserWindow: 3, maxQueuedSize: 4 } },
    });
    system.defineTask('quick', { handler: async () => 1 });
    await system.initialize();
    const hers = [];
    for (let n = 0; n < 3; n++) hers.push(await system.submit('quick', { input: n, userId: 'alice' }));
    await system.cancel(hers[0]!); // her window is full all the same, and her part of the queue is not
    const perUser = await system.submit('quick', { input: 4, userId: 'alice' }).catch((error: unknown) => error);
    expect(BackpressureError.is(perUser) && perUser).toMatchObject({ limit: 'user' });
    const waiting = [await system.submit('quick', { input: 5 }), await system.submit('quick', { input: 6 })];
    const queue = await system.submit('quick', { input: 7 }).catch((error: unknown) => error);
    expect(BackpressureError.is(queue) && queue).toMatchObject({ limit: 'queue' });
    await system.cancel(waiting[0]!);
    await system.submit('quick', { input: 8 });
    expect(system.getStats().guard.rejections).toMatchObject({ user: 1, queue: 1 });
  });
});

describe('P10 Faults refuse, they do not lose', () => {
  it('accepts and runs tasks while the database is unreachable from the start, and tells their state', async () => {
    const blocker = await new DataSource({ type: 'sqlite', database: folder.file('tasks.db') }).initialize();
    await blocker.query('PRAGMA locking_mode=EXCLUSIVE');
    await blocker.query('BEGIN EXCLUSIVE');
    const system = await folder.system();
    system.defineTask('quick', { handler: async (n: number) => n + 1 });
    await system.initialize();
    expect(system.getStats().status).toBe('degraded');
    const task = await system.submit('quick', { input: 1 });
    expect(await system.result(task)).toBe(2);
    expect(await system.getStatus(task)).toMatchObject({ status: 'completed', result: 2, input: 1 });
    await expect(system.submit('quick', { input: 1, idempotencyKey: 'k' })).rejects.toMatchObject({ name: 'RepositoryError' });
    await expect(system.getStatus({ taskId: '01a206f8-0000-7000-8000-000000000000' })).rejects.toMatchObject({ name: 'RepositoryError' });
    await blocker.query('ROLLBACK');
    await blocker.destroy();
    await eventually(
      () => system.getStats().status,
      (status) => status === 'running',
    );
    await system.submit('quick', { input: 1, idempotencyKey: 'k' });
  });
});

describe('P11 Owners only', () => {
  it("makes another user's task a plain miss in every method, and an undefined user id no trusted access", async () => {
    const system = await folder.system({ executor: { enabled: false } });
    system.defineTask('quick', { handler: async () => 1 });
    await system.initialize();
    const task = await system.submit('quick', { input: 1, userId: 'alice', idempotencyKey: 'secret' });
    for (const ref of ['secret', task, { taskId: task.id }] as const) {
      expect(await system.getStatus(ref, { userId: 'mallory' })).toBeNull();
      expect(await system.getStatus(ref, { userId: null })).toBeNull();
      await expect(system.cancel(ref, { userId: 'mallory' })).rejects.toThrow(NotFoundError);
      await expect(system.sse(ref, { userId: 'mallory' })).rejects.toThrow(NotFoundError);
      await expect(system.result(ref, { userId: 'mallory' })).rejects.toThrow(NotFoundError);
      await expect(seqsOf(system.subscribe(ref, { userId: 'mallory' }))).rejects.toThrow(NotFoundError);
      await expect(system.getStatus(ref, { userId: undefined as unknown as null })).rejects.toThrow(ValidationError);
      await expect(system.deadLetters.retry(ref, { userId: 'mallory' })).rejects.toThrow(NotFoundError);
    }
    expect((await system.list({ userId: 'mallory' })).items).toEqual([]);
    expect(await system.getStatus('secret', { userId: 'alice' })).toMatchObject({ id: task.id });
    const hers = await system.submit('quick', { input: 1, userId: 'mallory', idempotencyKey: 'secret' });
    expect(hers.id).not.toBe(task.id);
    await expect(system.submit('quick', { input: 1, userId: undefined as unknown as null })).rejects.toThrow(ValidationError);
  });
});

describe('P12 One writer', () => {
  it('refuses a second process on the log, saying who holds it and where, and lets it in after a kill', async () => {
    const options = folder.options({ hooks: undefined });
    const holder = await ChildApp.start(options);
    const second = await folder.system();
    const refused = await second.initialize().catch((error: unknown) => error);
    expect(EventLogLockedError.is(refused)).toBe(true);
    expect((refused as Error).message).toContain(String(holder.pid));
    expect((refused as Error).message).toContain(folder.path);
    await holder.kill();
    const third = await folder.system();
    await third.initialize();
  });
});
