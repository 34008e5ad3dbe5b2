import { afterEach, describe, expect, it } from '@jest/globals';
import type { TaskflowOptionsInput } from '../../../lib/config/taskflow-options.interface.js';
import type { TaskDefinition } from '../../../lib/contracts/task-handler.interface.js';
import type { StoredEvent } from '../../../lib/contracts/task-event.interface.js';
import type { Task } from '../../../lib/contracts/task.interface.js';
import { settle } from '../../support/clock/fake-clock.js';
import { HandDrivenWork } from '../../support/doubles/hand-driven-work.js';
import { WholeSystem } from '../../support/doubles/whole-system.js';

let house: WholeSystem;
let work: HandDrivenWork;

async function open(options: TaskflowOptionsInput = {}, more: Partial<TaskDefinition> = {}): Promise<void> {
  house = new WholeSystem(options);
  work = new HandDrivenWork(more);
  house.definitions.set('work', work.definition);
  await house.start();
}

const submit = (more: object = {}): Promise<Task> => house.until(house.system.submit('work', { input: 1, ...more }));
const status = (task: { id: Task['id'] }): Promise<Task | null> => house.until(house.system.getStatus({ id: task.id }));

async function crash(): Promise<void> {
  house.crash();
  work.forget();
}

async function crashAndStart(clockJumpMs = 0): Promise<void> {
  await crash();
  await house.start(clockJumpMs);
}

/** What is durable of a task, read as a subscriber would. */
async function history(task: { id: Task['id'] }): Promise<string[]> {
  const seen: string[] = [];
  const abort = new AbortController();
  const reading = (async () => {
    for await (const event of house.system.subscribe({ id: task.id }, { signal: abort.signal })) {
      if ((event as StoredEvent).seq !== undefined) seen.push(`${(event as StoredEvent).seq} ${event.type}`);
    }
  })().catch((error: unknown) => {
    if (!abort.signal.aborted) throw error;
  });
  await house.run(50);
  abort.abort();
  await reading;
  return seen;
}

async function lastEvent(task: { id: Task['id'] }): Promise<StoredEvent> {
  const events: StoredEvent[] = [];
  await house.until(
    (async () => {
      for await (const event of house.system.subscribe({ id: task.id })) events.push(event as StoredEvent);
    })(),
  );
  return events.at(-1)!;
}

afterEach(async () => {
  house.shared.isAway = false;
  await house.stop();
});

describe('a crash', () => {
  it('is counted one by one until the loop is cut, and the count starts anew after a long run', async () => {
    await open({ recovery: { maxRecoveriesPerTask: 3, staleThresholdMs: 15_000 } });
    const task = await submit();
    for (const expected of [1, 2]) {
      await crashAndStart();
      await house.run(200);
      expect((await status(task))?.recoveries).toBe(expected);
    }
    await house.run(16_000); // beats all the time
    await crashAndStart();
    await house.run(200);
    expect(await status(task)).toMatchObject({ status: 'running', recoveries: 1 });
    for (let crashes = 0; crashes < 3; crashes++) {
      await crashAndStart();
      await house.run(200);
    }
    expect(await status(task)).toMatchObject({ status: 'failed', error: { code: 'CRASH_LOOP' } });
    expect(new Set(work.calls.map((call) => call.fence)).size).toBe(work.calls.length);
  });

  it.each(['nothing', 'the task', 'the request'] as const)(
    'after a cancel request was durable ends the task cancelled for its reason, its handler not called again (flushed: %s)',
    async (flushed) => {
      await open();
      const task = await submit();
      work.run(task.id).ctx.signal.addEventListener('abort', () => {});
      if (flushed === 'the task') await house.flushed();
      const cancelled = house.system.cancel(task, { reason: 'wrong file' });
      await house.until(cancelled);
      if (flushed === 'the request') await house.flushed();
      work.forget();
      await crashAndStart();
      await house.run(200);
      expect(await status(task)).toMatchObject({ status: 'cancelled', cancelReason: 'wrong file' });
      expect((await lastEvent(task)).payload).toEqual({ reason: 'wrong file' });
      expect(work.calls).toHaveLength(1);
    },
  );

  it.each([
    ['set back an hour', -3_600_000],
    ['set on an hour', 3_600_000],
  ])('and a clock that is %s leave a backoff no longer than it was', async (_how, jumpMs) => {
    await open();
    const task = await submit();
    work.run(task.id).reject(new Error('no'));
    await house.run(10);
    expect((await status(task))?.status).toBe('created');
    await crashAndStart(jumpMs);
    await house.run(1_200);
    expect((await status(task))?.status).toBe('running');
    const times: number[] = [];
    work.run(task.id).resolve(1);
    await house.run(10);
    for await (const event of house.system.subscribe({ id: task.id })) times.push(event.timestamp);
    expect(times).toEqual([...times].sort((a, b) => a - b));
  });
});

describe('a page of waiting tasks', () => {
  it.each(['waits out a backoff since', 'runs', 'is on its way to its start'] as const)(
    'that was read before, and arrives when its task %s, does not start it again',
    async (what) => {
      const retry = { maxAttempts: 2, initialDelayMs: 60_000, maxDelayMs: 60_000, jitter: false };
      await open({ guard: { slots: { maxExecutionGlobal: 1 } } }, { retry });
      const first = await submit();
      const task = await submit();
      const runs = (): number => work.calls.filter(({ taskId }) => taskId === task.id).length;
      await house.flushed();
      house.shared.onUnfinished = async () => {
        house.shared.onUnfinished = undefined;
        work.run(first.id).resolve(1);
        if (what === 'is on its way to its start') return;
        await house.run(10);
        expect(runs()).toBe(1);
        if (what === 'waits out a backoff since') work.run(task.id).reject(new Error('not now'));
        await house.flushed();
        if (what === 'waits out a backoff since') expect(house.overlay.get(task.id)).toBeUndefined();
      };
      await house.until(house.parts.recovery.queueRows());
      await house.run(500);
      expect([runs(), house.system.getStats().tasks.queued, house.system.getStats().tasks.delayed]).toEqual([
        1,
        0,
        what === 'waits out a backoff since' ? 1 : 0,
      ]);
      if (what === 'waits out a backoff since') {
        await house.run(60_000);
        expect(runs()).toBe(2);
      }
      work.run(task.id).resolve(1);
      await house.run(100);
      expect(await status(task)).toMatchObject({ status: 'completed' });
    },
  );
});

/** Makes entries until retention has deleted the segment with the task's first one. */
async function outgrow(...tasks: Task[]): Promise<void> {
  const filler = await submit();
  for (let turn = 0; turn < 20; turn++) {
    for (let entry = 0; entry < 4; entry++) await house.until(work.run(filler.id).ctx.progress('x'.repeat(30_000)));
    await house.flushed();
    await house.run(100);
    const text = house.durableText();
    if (tasks.every((task) => !text.includes(`"e":"created","t":"${task.id}"`))) break;
    if (turn === 19) throw new Error('The first segment is still there.');
  }
  work.run(filler.id).resolve(1);
  await house.flushed();
}

describe('a start without the database', () => {
  /** A running task of which the log has no more than later entries, or none, and the database is away at the start. */
  async function leftover(tail: boolean): Promise<Task> {
    await open({
      eventLog: { maxSizeBytesPerFile: 65_536, retentionCount: 1 },
      executor: { heartbeatIntervalMs: 100_000 },
      recovery: { staleThresholdMs: 300_000 },
      flush: { flushIntervalMs: 20_000, circuitBreakerThreshold: 1, circuitBreakerDurationMs: 1_000 },
    });
    const task = await submit();
    await outgrow(task);
    if (tail) {
      house.shared.isAway = true;
      await house.until(work.run(task.id).ctx.progress({ n: 1 }));
    }
    await crash();
    house.shared.isAway = true;
    await house.start();
    return task;
  }

  it.each([true, false])('recovers what it left running once the database is back (entries in the tail: %s)', async (tail) => {
    const task = await leftover(tail);
    await house.run(3_000);
    house.shared.isAway = false;
    await house.run(5_000);
    expect(await status(task)).toMatchObject({ status: 'running', recoveries: 1 });
    work.run(task.id).resolve('done');
    await house.flushed();
    const events = await history(task);
    expect(events.map((event) => Number(event.split(' ')[0]))).toEqual(events.map((_, at) => at + 1));
  });

  it('refuses to list rows that are older than the log, until they were read together', async () => {
    const task = await leftover(true);
    await house.run(3_000);
    house.shared.isAway = false;
    expect(house.shared.rows.tasks.get(task.id)?.lastSeq).toBe(2);
    await expect(house.now.system.list()).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    await house.run(1_500);
    const { items } = await house.until(house.system.list());
    expect(items.find((each) => each.id === task.id)?.lastSeq).toBeGreaterThan(3);
  });

  it('ends a leftover that is cancelled before the recovery got to it', async () => {
    const task = await leftover(false);
    await house.run(3_000);
    house.shared.isAway = false;
    // The next look at the database is up to a second away; callers see it at once.
    await house.now.system.cancel({ id: task.id });
    expect(await house.now.system.getStatus({ id: task.id })).toMatchObject({ status: 'running', recoveries: 0 });
    await house.run(5_000);
    expect((await status(task))?.status).toBe('cancelled');
  });
});

describe('a database that comes back late', () => {
  it('is flushed to, and no file is deleted before the start has found its place in it', async () => {
    await open({
      eventLog: { maxSizeBytesPerFile: 65_536, retentionCount: 1 },
      executor: { heartbeatIntervalMs: 100_000 },
      recovery: { staleThresholdMs: 300_000 },
      flush: { circuitBreakerThreshold: 1, circuitBreakerDurationMs: 200 },
    });
    const task = await submit();
    await house.flushed();
    house.shared.isAway = true;
    for (let entry = 0; entry < 12; entry++) await house.until(work.run(task.id).ctx.progress('x'.repeat(30_000)));
    await crash();
    await house.start();
    await house.run(3_000);
    const { segments } = house.system.getStats().eventLog;
    expect(segments).toBeGreaterThan(5);
    // The start has read how far the database is; what it compares that with is read when the flush is done with everything.
    const store = house.parts.store;
    const cursor = store.cursor.bind(store);
    store.confirmedCursor = cursor;
    let compared = 0;
    store.cursor = async (logId) => {
      const found = await cursor(logId);
      if (compared++ === 0) await flushedMeanwhile();
      return found;
    };
    const flushedMeanwhile = async (): Promise<void> => {
      for (let turn = 0; turn < 200 && house.system.getStats().flush.appliedSeq < house.system.getStats().eventLog.durableSeq; turn++) {
        await settle();
        if (turn % 10 === 0) house.clock.advance(100);
      }
      for (let turn = 0; turn < 20; turn++) await settle();
      expect(house.system.getStats().eventLog.segments).toBe(segments);
    };
    house.shared.isAway = false;
    await house.run(3_000);
    expect(compared).toBeGreaterThan(0);
    expect(await status(task)).toMatchObject({ recoveries: 1 });
    await submit();
    await house.flushed();
    await house.run(1_000);
    expect(house.system.getStats()).toMatchObject({ status: 'running' });
    expect(house.system.getStats().eventLog.segments).toBeLessThan(segments);
  });
});

describe('more orphans than one page', () => {
  it('are all taken up, also when the database goes away between two pages', async () => {
    await open({
      eventLog: { maxSizeBytesPerFile: 65_536, retentionCount: 1 },
      executor: { heartbeatIntervalMs: 100_000 },
      recovery: { staleThresholdMs: 300_000, maxConcurrentRecoveries: 1_000 },
      guard: {
        backpressure: { maxTasksPerWindow: 10_000, maxQueuedSize: 10_000 },
        slots: { maxExecutionGlobal: 1_000, maxExecutionPerUser: 1_000 },
      },
      flush: { flushIntervalMs: 20_000 },
    });
    const tasks = await house.until(Promise.all(Array.from({ length: 300 }, () => house.system.submit('work', { input: 1 }))));
    await outgrow(...tasks);
    house.shared.isAway = true;
    await house.until(Promise.all(tasks.map((task) => work.run(task.id).ctx.progress(1))));
    await crash();
    house.shared.isAway = false;
    const { rows } = house.shared;
    const findById = rows.findById.bind(rows);
    let reads = 0;
    rows.findById = (id) => (++reads === 280 ? Promise.reject(new Error('away')) : findById(id));
    await house.start();
    await house.run(3_000);
    expect(reads).toBeGreaterThanOrEqual(300);
    expect(tasks.filter((task) => !work.runs.has(task.id))).toHaveLength(0);
    expect(
      new Set((await house.until(Promise.all(tasks.map((task) => house.system.getStatus(task))))).map((task) => task?.recoveries)),
    ).toEqual(new Set([1]));
  });
});

describe('retention', () => {
  it('prunes more tasks than one page while the flush lags, each one once', async () => {
    await open({ retention: { completedTtlMs: 10_000 }, stream: { streamRetentionMs: 1_000 } });
    work.isAutomatic = true;
    const complete = (tasks: number) =>
      house.until(Promise.all(Array.from({ length: tasks }, () => house.system.submit('work', { input: 1 }))));
    for (let batch = 0; batch < 6; batch++) await complete(50);
    await house.run(5_000);
    await complete(40);
    await house.flushed();
    await house.run(6_000);
    const reads = house.shared.rows;
    const executeBatch = reads.executeBatch.bind(reads);
    reads.executeBatch = () => Promise.reject(new Error('read only'));
    const sweep = house.parts.retention;
    expect(await house.until(sweep.sweep())).toBe(300);
    expect(await house.until(sweep.sweep())).toBe(0);
    // The rows of the first sweep still stand before those that are due now.
    await house.run(6_000);
    expect(await house.until(sweep.sweep())).toBe(40);
    expect(reads.tasks.size).toBe(340);
    reads.executeBatch = executeBatch;
    await house.run(60_000);
    await house.flushed();
    expect(reads.tasks.size).toBe(0);
    expect(house.overlay.bytes).toBe(0);
  });
});
