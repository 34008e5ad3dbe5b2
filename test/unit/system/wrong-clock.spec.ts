import { afterEach, describe, expect, it } from '@jest/globals';
import { TaskflowOptions } from '../../../lib/config/taskflow.options.js';
import type { TaskflowOptionsInput } from '../../../lib/config/taskflow-options.interface.js';
import type { FactDraft, FactPort } from '../../../lib/contracts/fact-port.interface.js';
import type { TaskStore } from '../../../lib/contracts/task-store.interface.js';
import type { SubmitParams } from '../../../lib/contracts/task-system.interface.js';
import type { Task } from '../../../lib/contracts/task.interface.js';
import { snapshotOf, stateOf } from '../../../lib/domain/task-snapshot.js';
import { workItemOf } from '../../../lib/engines/local/queue/work-item.js';
import { MAX_PER_SWEEP, RetentionService } from '../../../lib/engines/local/startup/retention.service.js';
import type { EventLogService } from '../../../lib/engines/local/wal/event-log.service.js';
import { FakeClock } from '../../support/clock/fake-clock.js';
import { HandDrivenWork } from '../../support/doubles/hand-driven-work.js';
import { WholeSystem } from '../../support/doubles/whole-system.js';

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
const TTL_MS = 600_000;
const TEN_YEARS_MS = 3_652 * DAY_MS;
const ONE_SLOT = { guard: { slots: { maxExecutionGlobal: 1 } } };

let house: WholeSystem;
let work: HandDrivenWork;

async function open(options: TaskflowOptionsInput = {}, clockJumpMs = 0): Promise<void> {
  house = new WholeSystem(options);
  work = new HandDrivenWork();
  house.definitions.set('work', work.definition);
  await house.start(clockJumpMs);
}
/** The process is killed; its successor starts with a clock that was set meanwhile. */
async function restart(clockJumpMs: number): Promise<void> {
  house.crash();
  work.forget();
  await house.start(clockJumpMs);
  await house.run(1_000);
}
afterEach(() => house.stop());

const submit = (more: Partial<SubmitParams<unknown>> = {}): Promise<Task> =>
  house.until(house.system.submit('work', { input: 1, ...more }));
const stateNow = async ({ id }: Task): Promise<Task | null> => house.until(house.system.getStatus({ id }));
const statusOf = async (task: Task): Promise<string | undefined> => (await stateNow(task))?.status;
async function finish(task: Task): Promise<void> {
  work.run(task.id).resolve('done');
  await house.run(100);
}

describe('a clock that is set back', () => {
  it('holds up no task that nobody delayed', async () => {
    await open(ONE_SLOT);
    const first = await submit();
    house.clock.jump(-HOUR_MS);
    const second = await submit();
    await finish(first);
    expect(await statusOf(second)).toBe('running');
  });

  it.each([
    ['that are in the log only', false],
    ['that the database has', true],
  ])('holds up no tasks %s after a restart, whatever the clock of the process before said', async (_where, isFlushed) => {
    await open(ONE_SLOT, TEN_YEARS_MS);
    const tasks = [await submit(), await submit(), await submit({ idempotencyKey: 'k' })];
    if (isFlushed) await house.flushed();
    await restart(-TEN_YEARS_MS);
    for (let turn = 0; turn < tasks.length; turn += 1) {
      expect(work.runs.size).toBe(1);
      [...work.runs.values()][0]!.resolve('done');
      await house.run(100);
    }
    expect(await Promise.all(tasks.map(statusOf))).toEqual(Array(tasks.length).fill('completed'));
  });

  it('lets nobody who comes later overtake those that wait', async () => {
    await open(ONE_SLOT);
    const running = await submit();
    const early = await submit();
    house.clock.jump(-HOUR_MS);
    const late = await submit();
    await finish(running);
    expect([await statusOf(early), await statusOf(late)]).toEqual(['running', 'created']);
  });

  it('dates no new task by the clock that was wrong, so that retention and dead letters end in their time', async () => {
    await open({ retention: { completedTtlMs: TTL_MS, failedTtlMs: 3 * TTL_MS }, guard: { dlq: { ttlMs: TTL_MS } } }, TEN_YEARS_MS);
    const old = await submit();
    await restart(-TEN_YEARS_MS);
    const now = house.clock.now();
    const [good, bad] = [await submit({ idempotencyKey: 'k' }), await submit({ maxAttempts: 1 })];
    expect(Math.abs(good.createdAt.getTime() - now)).toBeLessThan(1_000);
    await finish(good);
    work.run(bad.id).reject(new Error('no'));
    await house.flushed();
    expect(await stateNow(bad)).toMatchObject({ status: 'failed', deadLetteredAt: expect.any(Date) });
    // The one that lived when the clock was wrong goes on from there: within a task time never runs backwards.
    await finish(old);
    expect((await stateNow(old))!.completedAt!.getTime()).toBeGreaterThanOrEqual(old.createdAt.getTime());
    await house.run(TTL_MS + 120_000);
    await house.flushed();
    expect(await stateNow(good)).toBeNull();
    expect(await stateNow(bad)).toMatchObject({ status: 'failed', deadLetteredAt: null });
    expect((await submit({ idempotencyKey: 'k' })).id).not.toBe(good.id);
  });

  it('does not make the database look as if it kept up', async () => {
    await open();
    house.shared.isAway = true;
    await submit();
    await house.run(10_000);
    house.clock.jump(-HOUR_MS);
    await submit();
    await house.run(10_000);
    const { lagMs } = house.system.getStats().flush;
    expect(lagMs).toBeGreaterThanOrEqual(20_000);
    expect(lagMs).toBeLessThan(21_000);
    house.shared.isAway = false;
  });
});

describe.each([
  ['set back by an hour', -HOUR_MS],
  ['set forward by an hour', HOUR_MS],
])('a delay in ms, with a clock that is %s', (_how, ms) => {
  it('is as long as it was said', async () => {
    await open();
    const task = await submit({ delayMs: 60_000 });
    house.clock.jump(ms);
    await house.run(58_000);
    expect(await statusOf(task)).toBe('created');
    await house.run(3_000);
    expect(await statusOf(task)).toBe('running');
  });

  it('is no longer than that after a restart', async () => {
    await open();
    const task = await submit({ delayMs: 60_000 });
    await house.flushed();
    await restart(ms);
    await house.run(60_000);
    expect(await statusOf(task)).toBe('running');
  });
});

describe('a clock that is set forward', () => {
  it('prunes nothing before its time while the process runs, keys included', async () => {
    await open({ retention: { completedTtlMs: TTL_MS } });
    const task = await submit({ idempotencyKey: 'k' });
    await finish(task);
    await house.flushed();
    house.clock.jump(TEN_YEARS_MS);
    await house.run(TTL_MS - 120_000);
    expect(await statusOf(task)).toBe('completed');
    expect((await submit({ idempotencyKey: 'k' })).id).toBe(task.id);
    await house.run(240_000);
    await house.flushed();
    expect(await stateNow(task)).toBeNull();
  });

  it('hides dead letters, which are there again when it is right', async () => {
    await open();
    const task = await submit({ maxAttempts: 1 });
    work.run(task.id).reject(new Error('no'));
    await house.run(100);
    house.clock.jump(2 * DAY_MS);
    expect((await house.until(house.system.deadLetters.list())).items).toEqual([]);
    house.clock.jump(-2 * DAY_MS);
    expect((await house.until(house.system.deadLetters.list())).items).toMatchObject([{ id: task.id }]);
  });
});

describe('one sweep of retention', () => {
  it('prunes a bounded number of tasks, also where a wrong clock at the start makes all of them old', async () => {
    const clock = new FakeClock();
    const left = new Map(Array.from({ length: 2 * MAX_PER_SWEEP + 300 }, (_, n) => [`t${n}`, { id: `t${n}`, status: 'completed' }]));
    const pruned: string[] = [];
    const append = async (drafts: readonly FactDraft[]) => ({ kind: pruned.push(drafts[0]!.taskId) > 0 ? 'applied' : 'stale' });
    // Rows stay until their `pruned` is flushed, which is as late as it can be here, or as early.
    for (const isFlushedAtOnce of [false, true]) {
      const store = {
        prunable: async (_home: string, _completed: number, _failed: number, limit: number) => {
          if (isFlushedAtOnce) for (const id of pruned) left.delete(id);
          return [...left.values()].slice(0, limit);
        },
      };
      const retention = new RetentionService(
        new TaskflowOptions(),
        clock,
        { append } as unknown as FactPort,
        store as unknown as TaskStore,
        { logId: 'log' } as EventLogService,
      );
      pruned.length = 0;
      expect(await retention.sweep()).toBe(MAX_PER_SWEEP);
      expect(new Set(pruned).size).toBe(MAX_PER_SWEEP);
    }
  });
});

describe('a backoff in storage that keeps the members of a task only', () => {
  it('is bounded by the time since its run began, whatever the clock says then', () => {
    const clock = new FakeClock();
    const startedAt = new Date(clock.now());
    const waiting = { ...snapshotOf(created(clock.now() - 5_000)), fence: 1, startedAt, runAt: new Date(clock.now() + 7_000) };
    const { retryDelayMs: _lost, resume: _too, ...kept } = waiting;
    clock.jump(-HOUR_MS);
    const item = workItemOf(stateOf(kept as unknown as Task, 'home'), clock, undefined);
    expect(item).toMatchObject({ runAt: 0, notBefore: clock.monotonic() + 7_000 });
  });
});

function created(at: number): Parameters<typeof snapshotOf>[0] {
  return stateOf(
    {
      id: 't',
      idempotencyKey: 't',
      name: 'work',
      userId: null,
      type: 'user',
      status: 'created',
      input: 1,
      attempt: 1,
      maxAttempts: 3,
      fence: 0,
      recoveries: 0,
      timeoutMs: 1_000,
      cancelRequestedAt: null,
      priority: 0,
      tags: [],
      lastSeq: 1,
      deadLetteredAt: null,
      createdAt: new Date(at),
      runAt: new Date(at),
      startedAt: null,
      completedAt: null,
      lastHeartbeatAt: null,
    } as unknown as Task,
    'home',
  );
}
