import { afterEach, describe, expect, it } from '@jest/globals';
import type { TaskflowOptionsInput } from '../../../lib/config/taskflow-options.interface.js';
import type { Task } from '../../../lib/contracts/task.interface.js';
import { DeadLetterService } from '../../../lib/dead-letters/dead-letter.service.js';
import { FACT_PORT } from '../../../lib/config/taskflow.tokens.js';
import type { FactPort } from '../../../lib/contracts/fact-port.interface.js';
import { seededRandom } from '../../support/clock/fake-clock.js';
import { HandDrivenWork } from '../../support/doubles/hand-driven-work.js';
import { WholeSystem } from '../../support/doubles/whole-system.js';

let house: WholeSystem;
let work: HandDrivenWork;

async function open(options: TaskflowOptionsInput = {}): Promise<void> {
  house = new WholeSystem(options);
  work = new HandDrivenWork();
  house.definitions.set('work', work.definition);
  await house.start();
}

const submit = (more: object = {}): Promise<Task> => house.until(house.system.submit('work', { input: 1, ...more }));
async function fail(task: Task): Promise<void> {
  while (!(await house.until(house.system.getStatus(task)))!.deadLetteredAt) {
    if (work.runs.has(task.id)) work.run(task.id).reject(new Error('no'));
    await house.run(1_100);
  }
}

afterEach(async () => {
  house.shared.onListed = undefined;
  await house.stop();
});

describe('a list', () => {
  it('holds a task that was flushed while the rows were read', async () => {
    await open();
    const tasks = [await submit(), await submit(), await submit()];
    work.run(tasks[0]!.id).resolve(1);
    // The rows are read before the flush, and answered after it.
    house.shared.onListed = async () => {
      house.shared.onListed = undefined;
      await house.flushed();
    };
    const page = await house.until(house.system.list());
    expect(page.items.map((task) => task.id)).toEqual(tasks.map((task) => task.id).reverse());
  });

  it.each(['was cancelled', 'was pruned'] as const)(
    'does not show what a task was before it %s, flushed while the rows were read',
    async (what) => {
      await open({ flush: { flushIntervalMs: 5_000 }, retention: { completedTtlMs: 1_000, sweepIntervalMs: 100_000_000 } });
      const task = await submit({ delayMs: 120_000 });
      const pruned = await submit();
      work.run(pruned.id).resolve(1);
      await house.flushed();
      await house.run(1);
      if (what === 'was pruned') expect(await house.until(house.parts.retention.sweep())).toBe(1);
      else await house.until(house.system.cancel(task));
      const status = what === 'was cancelled' ? 'created' : 'completed';
      expect([...house.shared.rows.tasks.values()].filter((row) => row.status === status)).toHaveLength(1);
      let moved = 0;
      house.shared.onListed = async () => {
        house.shared.onListed = undefined;
        await house.flushed();
        moved++;
      };
      expect((await house.until(house.system.list({ status }))).items).toEqual([]);
      expect([moved, house.overlay.get((what === 'was pruned' ? pruned : task).id)]).toEqual([1, undefined]);
    },
  );

  it.each([1, 2, 3])('paged through while tasks change gives each that was there throughout once (seed %i)', async (seed) => {
    await open({ flush: { flushIntervalMs: 50 } });
    const random = seededRandom(seed);
    const pick = <T>(from: readonly T[]): T | undefined => from[Math.floor(random() * from.length)];
    const there: string[] = [];
    for (let made = 0; made < 500; made++) there.push((await house.system.submit('work', { input: 1 })).id);
    const seen: string[] = [];
    let cursor: string | null | undefined;
    house.shared.onListed = () => (random() < 0.5 ? house.run(60) : Promise.resolve());
    while (cursor !== null) {
      const page = await house.until(house.system.list({ limit: 37, ...(cursor === undefined ? {} : { cursor }) }));
      seen.push(...page.items.map((task) => task.id));
      cursor = page.nextCursor;
      for (let change = 0; change < 10; change++) {
        const id = pick([...work.runs.keys()]);
        if (id !== undefined) work.run(id).resolve(1);
        await house.system.submit('work', { input: 2 });
      }
      if (random() < 0.3) await house.run(30);
    }
    expect(seen.length).toBe(new Set(seen).size);
    expect(there.filter((id) => !seen.includes(id))).toEqual([]);
  });
});

describe('a key', () => {
  it.each(['completed', 'running'])(
    'that was used again after its first task was pruned finds the second one after a crash (%s)',
    async (status) => {
      await open({ flush: { flushIntervalMs: 30_000 }, retention: { completedTtlMs: 1_000, sweepIntervalMs: 100_000_000 } });
      const first = await submit({ idempotencyKey: 'k' });
      work.run(first.id).resolve(1);
      await house.flushed();
      // From here on the database lags: it knows the first task, and nothing of its end.
      expect(await house.until(house.parts.retention.sweep())).toBe(1);
      const second = await submit({ idempotencyKey: 'k' });
      if (status === 'completed') work.run(second.id).resolve(1);
      await house.run(0);
      expect(second.id).not.toBe(first.id);
      house.crash();
      work.forget();
      await house.start();
      expect(house.shared.rows.tasks.has(first.id)).toBe(true);
      expect((await submit({ idempotencyKey: 'k' })).id).toBe(second.id);
      expect((await house.until(house.system.getStatus('k')))?.id).toBe(second.id);
      await house.flushed();
      expect((await submit({ idempotencyKey: 'k' })).id).toBe(second.id);
      expect(await house.until(house.system.getStatus(first))).toBeNull();
    },
  );
});

describe('dead letters', () => {
  it('a retry and a prune in the same moment: one of them wins', async () => {
    await open({ retention: { failedTtlMs: 86_400_000 }, guard: { dlq: { ttlMs: 86_400_000 } } });
    for (const first of ['retry', 'prune'] as const) {
      const task = await submit();
      await fail(task);
      await house.flushed();
      const state = (await house.get<FactPort>(FACT_PORT).load(task.id))!;
      const prune = () =>
        house
          .get<FactPort>(FACT_PORT)
          .append([{ type: 'pruned', taskId: task.id, expect: { status: ['failed'], fence: state.fence, life: state.life } }]);
      const retry = () =>
        house.system.deadLetters.retry(task).then(
          () => 'retried',
          (error: { code: string }) => error.code,
        );
      const [one, other] =
        first === 'retry'
          ? await house.until(Promise.all([retry(), prune()]))
          : (await house.until(Promise.all([prune(), retry()]))).reverse();
      const [retried, pruned] = [one === 'retried', (other as { kind: string }).kind === 'applied'];
      expect([retried, pruned].filter(Boolean)).toHaveLength(1);
      expect((await house.until(house.system.getStatus(task))) === null).toBe(pruned);
      if (retried) {
        await house.run(200);
        work.run(task.id).resolve(1);
        await house.run(10);
      }
    }
  });

  it('retryAll goes on past one that was pruned meanwhile', async () => {
    await open();
    const tasks = [await submit(), await submit(), await submit()];
    for (const task of tasks) await fail(task);
    const gone = tasks[1]!;
    const all = house.get(DeadLetterService).retryAll((task) => {
      if (task.id === gone.id) void house.get<FactPort>(FACT_PORT).append([{ type: 'pruned', taskId: gone.id }]);
      return true;
    });
    expect(await house.until(all)).toBe(2);
    expect(await house.until(house.system.getStatus(gone))).toBeNull();
  });
});

describe('the number of dead letters', () => {
  it('is right at once and stays so at each scan, flushed or not', async () => {
    await open({ flush: { flushIntervalMs: 60_000 }, recovery: { scanIntervalMs: 1_000 } });
    const counted = () => house.system.getStats().tasks.deadLettered;
    const tasks = [await submit(), await submit(), await submit()];
    for (const task of tasks) await fail(task);
    expect(counted()).toBe(3);
    await house.run(2_500);
    expect(counted()).toBe(3);
    await house.flushed();
    await house.until(house.get(DeadLetterService).remove(tasks[0]!));
    await house.until(house.get(DeadLetterService).retry(tasks[1]!));
    await house.run(2_500);
    expect(counted()).toBe(1);
  });
});

describe('a backlog of failures beyond the size of the queue', () => {
  it('is counted without a question to the database', async () => {
    await open({ flush: { flushIntervalMs: 60_000 }, recovery: { scanIntervalMs: 1_000 }, guard: { dlq: { maxSize: 2 } } });
    for (let made = 0; made < 4; made++) await fail(await submit());
    const census = house.parts.census;
    house.shared.isAway = true;
    expect(await house.until(census.count(0, 2))).toBe(2);
    house.shared.isAway = false;
    expect(await house.until(census.count(0, 10))).toBe(4);
  });
});

describe('a stream', () => {
  it('is told when its rows begin later than it asks', async () => {
    await open();
    const task = await submit();
    work.run(task.id).resolve(1);
    await house.flushed();
    expect(house.overlay.get(task.id)).toBeUndefined();
    const rows = house.shared.rows.events;
    rows.set(task.id, rows.get(task.id)!.slice(2));
    const first = house.system.subscribe(task)[Symbol.asyncIterator]().next();
    await expect(house.until(first)).rejects.toMatchObject({ code: 'STREAM_OVERFLOW', requestedSeq: 0, firstAvailableSeq: 3 });
    const resumed = house.system.subscribe(task, { lastSeq: 2 })[Symbol.asyncIterator]().next();
    expect(await house.until(resumed)).toMatchObject({ value: { seq: 3, type: 'complete' } });
  });
});

describe('the overlay', () => {
  it('is empty once everything ended and was flushed, also after restarts', async () => {
    await open();
    for (let life = 0; life < 3; life++) {
      const tasks = await house.until(Promise.all(Array.from({ length: 20 }, () => house.system.submit('work', { input: 1 }))));
      await house.run(11_000); // beats
      await house.until(work.run(tasks[0]!.id).ctx.progress(1));
      await house.system.cancel(tasks[1]!);
      house.crash();
      work.forget();
      await house.start();
      await house.run(300);
    }
    for (let rounds = 0; work.runs.size > 0; rounds++) {
      for (const run of work.runs.values()) run.resolve(1);
      await house.run(300);
    }
    await house.flushed();
    expect(house.overlay.bytes).toBe(0);
    expect([...house.overlay.values()]).toHaveLength(0);
  });

  it('is empty after 5,000 tasks', async () => {
    await open({ guard: { slots: { maxExecutionGlobal: 1_000, maxExecutionPerUser: 1_000 } } });
    work.isAutomatic = true;
    for (let batch = 0; batch < 20; batch++) {
      await house.until(Promise.all(Array.from({ length: 250 }, () => house.system.submit('work', { input: 1 }))));
    }
    await house.run(100);
    await house.flushed();
    expect(house.overlay.bytes).toBe(0);
    expect(house.system.getStats().guard.slotsInUse).toBe(0);
    expect(work.calls).toHaveLength(5_000);
  });
});

describe('a sweep', () => {
  it('never prunes a task that a retry has just brought back to life', async () => {
    await open({ retention: { failedTtlMs: 30_000, completedTtlMs: 1_000 }, guard: { dlq: { ttlMs: 30_000 } } });
    const task = await submit();
    await fail(task);
    await house.flushed();
    await house.run(20_000);
    await house.until(house.system.deadLetters.retry(task));
    await house.run(5_000);
    expect(await house.until(house.parts.retention.sweep())).toBe(0);
    expect((await house.until(house.system.getStatus(task)))?.status).toBe('running');
  });
});
