import { afterEach, describe, expect, it } from '@jest/globals';
import type { TaskflowOptionsInput } from '../../../lib/config/taskflow-options.interface.js';
import type { Task } from '../../../lib/contracts/task.interface.js';
import { BackpressureError, SlotTimeoutError } from '../../../lib/errors/admission.errors.js';
import { RetryLaterError } from '../../../lib/errors/execution.errors.js';
import { EventLogFullError, RepositoryError } from '../../../lib/errors/storage.errors.js';
import type { TaskHistory } from '../../../lib/contracts/task-history.interface.js';
import { TASK_QUERIES } from '../../../lib/config/taskflow.tokens.js';
import { changed } from '../../../lib/domain/task-state.js';
import { comeAgainOf } from '../../../lib/executor/come-again.js';
import { decide, type RunOutcome } from '../../../lib/executor/outcome-decision.js';
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
const submit = async (more: object = {}): Promise<Task> => {
  const task = await house.until(house.system.submit('work', { input: 1, ...more }));
  await house.run(0);
  return task;
};
const now = async (task: Task): Promise<Task> => (await house.until(house.system.get(task)))!;

const submitImport = (count: number): Promise<Task> => house.until(house.system.submit('import', { input: count, userId: `of-${count}` }));

afterEach(async () => {
  await house.stop();
});

describe('RetryLaterError', () => {
  it('counts as an attempt where it does not say otherwise, and waits beyond the largest backoff all the same', async () => {
    await open();
    const task = await submit({ maxAttempts: 2 });
    work.run(task.id).reject(new RetryLaterError({ retryAfterMs: 3_600_000 }));
    await house.run(3_599_000);
    expect(await now(task)).toMatchObject({ status: 'created', attempt: 2 });
    await house.run(1_200);
    work.run(task.id).reject(new RetryLaterError({ retryAfterMs: 5 }));
    await house.run(0);
    expect(await now(task)).toMatchObject({ status: 'failed', attempt: 2, error: { name: 'RetryLaterError' } });
  });

  it('keeps its time, and the count of times, through a crash', async () => {
    await open();
    const task = await submit();
    work.run(task.id).reject(new RetryLaterError({ retryAfterMs: 60_000, countsAsAttempt: false }));
    await house.run(10_000);
    house.crash();
    work.forget();
    await house.start();
    await house.run(45_000);
    expect(work.runs.has(task.id)).toBe(false);
    await house.run(6_000);
    expect(work.run(task.id).ctx).toMatchObject({ attempt: 1, fence: 2 });
    expect((await now(task)).postponements).toBe(1);
  });

  describe('of recover', () => {
    const calls: string[] = [];
    let fails: Error | undefined;
    const recovering = async (interruptBy: 'crash' | 'shutdown'): Promise<Task> => {
      calls.length = 0;
      house = new WholeSystem();
      house.definitions.set('work', {
        retry: { maxAttempts: 3, initialDelayMs: 1_000, jitter: false },
        handler: (_input, ctx) => {
          calls.push('handle');
          if (calls.length > 1) return Promise.resolve('handled');
          return new Promise((_, reject) => ctx.signal.addEventListener('abort', () => reject(ctx.signal.reason)));
        },
        recovery: async (_task, ctx) => {
          calls.push(`recover/${ctx.reason}`);
          if (fails !== undefined) throw fails;
          return { recovered: true, result: 'recovered' };
        },
      });
      await house.start();
      const task = await submit();
      if (interruptBy === 'crash') house.crash();
      else {
        await house.until(house.system.shutdown({ force: true }));
        await house.stop();
      }
      return task;
    };

    it.each(['crash', 'shutdown'] as const)(
      'is followed by recover, at its time and as often as it takes: after a %s',
      async (interruptBy) => {
        fails = new RetryLaterError({ retryAfterMs: 90_000, countsAsAttempt: false });
        const task = await recovering(interruptBy);
        await house.start();
        await house.run(89_000);
        expect(calls).toEqual(['handle', `recover/${interruptBy}`]);
        expect(await now(task)).toMatchObject({ status: 'created', attempt: 1, postponements: 1, resume: interruptBy });
        await house.run(2_000);
        // The wait, and what it is for, are in the log.
        house.crash();
        await house.start();
        fails = undefined;
        await house.run(89_500);
        expect(await now(task)).toMatchObject({ status: 'completed', attempt: 1, result: 'recovered' });
        expect(new Set(calls.slice(1))).toEqual(new Set([`recover/${interruptBy}`]));
      },
    );

    it('is followed by handle where it counts as an attempt', async () => {
      fails = new RetryLaterError({ retryAfterMs: 1_000 });
      const task = await recovering('crash');
      await house.start();
      await house.run(3_000);
      expect(await now(task)).toMatchObject({ status: 'completed', attempt: 2, result: 'handled' });
      expect(calls).toEqual(['handle', 'recover/crash', 'handle']);
    });
  });

  it('is heard of a thousand times for nothing; from then on each costs an attempt', async () => {
    await open();
    const state = (await house.get<TaskHistory>(TASK_QUERIES).load((await submit()).id))!;
    const asked = (attempt: number, postponements: number): RunOutcome =>
      decide({
        task: changed(state, { attempt, postponements }),
        settlement: {
          kind: 'threw',
          error: { name: 'RetryLaterError', message: '', retryable: true },
          comeAgain: comeAgainOf(new RetryLaterError({ retryAfterMs: 0, countsAsAttempt: false })),
        },
        verdict: undefined,
        verdictError: undefined,
        cancelRequest: null,
        now: 0,
        backoffMs: () => 0,
      }).outcome;
    expect([asked(1, 0), asked(2, 999), asked(1, 1_000), asked(2, 1_000)]).toEqual(['postponed', 'postponed', 'retried', 'failed']);
  });

  it('is waited for also where a shutdown came in between', async () => {
    await open();
    const task = await submit();
    const { ctx, reject } = work.run(task.id);
    // The handler turns what stops it into what it was told by somebody else.
    ctx.signal.addEventListener('abort', () => reject(new RetryLaterError({ retryAfterMs: 60_000 })), { once: true });
    work.runs.delete(task.id);
    await house.until(house.system.shutdown({ force: true }));
    await house.stop();
    await house.start();
    expect(await now(task)).toMatchObject({ status: 'created', attempt: 1 });
  });

  it.each([-1, Number.NaN, Number.POSITIVE_INFINITY, '5', undefined])('refuses %p as a time', (retryAfterMs) => {
    expect(() => new RetryLaterError({ retryAfterMs: retryAfterMs as number })).toThrow(RangeError);
  });
});

describe('A handler that meets a limit', () => {
  it('of its user comes again when the limit says, and does not fail', async () => {
    house = new WholeSystem({ guard: { backpressure: { maxTasksPerUserWindow: 100, windowSizeMs: 60_000, maxQueuedSize: 10_000 } } });
    const rows = new Set<number>();
    house.definitions.set('row', { handler: async (n) => void rows.add(n as number) });
    house.definitions.set('import', {
      retry: { maxAttempts: 1 },
      handler: async (count, ctx) => {
        for (let n = 0; n < (count as number); n++)
          await house.system.submit('row', { input: n, userId: ctx.userId!, idempotencyKey: `${ctx.taskId}:${n}` });
        return 'split';
      },
    });
    await house.start();
    const task = await house.until(house.system.submit('import', { input: 300, userId: 'ann' }));
    for (let second = 0; second < 400 && (await now(task)).status !== 'completed'; second++) await house.run(1_000);
    await house.run(1_000);
    expect(await now(task)).toMatchObject({ status: 'completed', attempt: 1, result: 'split' });
    expect(rows.size).toBe(300);
  });

  it('that no waiting mends fails, and is not put off: more in one submitMany than the window holds', async () => {
    house = new WholeSystem({ guard: { backpressure: { maxTasksPerUserWindow: 100, maxQueuedSize: 10_000 } } });
    house.definitions.set('row', { handler: async () => undefined });
    house.definitions.set('import', {
      handler: async (count, ctx) => {
        const items = Array.from({ length: count as number }, (_, input) => ({ input, userId: ctx.userId! }));
        return (await house.system.submitMany('row', items)).length;
      },
    });
    await house.start();
    const [fits, never] = [await submitImport(99), await submitImport(101)];
    await house.run(100);
    expect(await now(fits)).toMatchObject({ status: 'completed', result: 99 });
    expect(await now(never)).toMatchObject({
      status: 'failed',
      attempt: 1,
      postponements: 0,
      error: { name: 'ValidationError', retryable: false, message: expect.stringContaining('maxTasksPerUserWindow') },
    });
  });

  it.each([
    ['a full queue', new BackpressureError('queue', 5_000)],
    ['no slot', new SlotTimeoutError(1_000, 5_000)],
    ['a full disk', new EventLogFullError('full', 5_000)],
    ['a database that is away', new RepositoryError('UNAVAILABLE', 'away', 5_000)],
  ])('burns no attempt: %s', async (_name, error) => {
    await open();
    const task = await submit({ maxAttempts: 1 });
    work.run(task.id).reject(error);
    await house.run(4_800);
    expect(await now(task)).toMatchObject({ status: 'created', attempt: 1 });
    await house.run(400);
    expect(work.runs.has(task.id)).toBe(true);
  });

  it('of its own run fails the attempt, as it would meet it again', async () => {
    await open();
    const task = await submit({ maxAttempts: 1 });
    work.run(task.id).reject(new BackpressureError('run', 50));
    await house.run(0);
    expect(await now(task)).toMatchObject({ status: 'failed' });
  });
});
