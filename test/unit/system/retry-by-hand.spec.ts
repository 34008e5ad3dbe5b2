import { afterEach, describe, expect, it } from '@jest/globals';
import type { TaskflowOptionsInput } from '../../../lib/config/taskflow-options.interface.js';
import type { Task } from '../../../lib/contracts/task.interface.js';
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
const submit = (more: object = {}): Promise<Task> => house.until(house.system.submit('work', { input: { n: 1 }, maxAttempts: 1, ...more }));
const codeOf = (promise: Promise<unknown>): Promise<string> =>
  promise.then(
    () => 'ok',
    (error: { code?: string; message: string }) => error.code ?? error.message,
  );

async function failed(more: object = {}): Promise<Task> {
  const task = await submit(more);
  work.run(task.id).reject(new Error('down'));
  await house.run(0);
  expect((await house.until(house.system.get(task)))?.status).toBe('failed');
  return task;
}

async function succeedsNow(task: Task): Promise<void> {
  const result = house.system.result(task);
  await house.run(0);
  work.run(task.id).resolve('done');
  expect(await house.until(result)).toBe('done');
}

afterEach(async () => {
  await house.stop();
});

describe('A retry by hand', () => {
  it('opens a new life, whatever the dead-letter queue would say', async () => {
    await open({ guard: { dlq: { ttlMs: 1_000, maxRetries: 1, maxSize: 1 } } });
    const often = await failed();
    for (let life = 2; life <= 4; life++) {
      expect(await house.until(house.system.retry(often))).toMatchObject({ status: 'created', attempt: 1, life, input: { n: 1 } });
      await house.run(0);
      work.run(often.id).reject(new Error('down'));
      await house.run(0);
    }
    const others = [await failed(), await failed()];
    await house.run(5_000); // past `ttlMs`
    expect(await codeOf(house.until(house.system.deadLetters.retry(often)))).toBe('NOT_DEAD_LETTERED');
    for (const task of [often, ...others]) {
      await house.until(house.system.retry(task));
      await succeedsNow(task);
    }
  });

  it('takes tasks that were removed from the dead letters, and cancelled ones, from memory and from rows alike', async () => {
    await open();
    const removed = await failed();
    await house.until(house.system.deadLetters.remove(removed));
    const cancelled = await submit({ delayMs: 60_000 });
    await house.until(house.system.cancel(cancelled));
    const whileRunning = await submit();
    await house.until(house.system.cancel(whileRunning));
    await house.run(10_000); // its handler does not listen, and is given up
    await house.flushed();
    expect(house.overlay.get(removed.id)).toBeUndefined();
    for (const task of [removed, cancelled, whileRunning]) {
      expect(await house.until(house.system.retry(task))).toMatchObject({ status: 'created', cancelRequestedAt: null });
      await succeedsNow(task);
    }
    await house.flushed();
    expect(house.shared.rows.tasks.get(cancelled.id)).toMatchObject({ status: 'completed', life: 2 });
  });

  it('is a conflict for tasks that wait, run or completed, and one of two at once', async () => {
    await open();
    const waits = await submit({ delayMs: 60_000 });
    const runs = await submit();
    expect(await codeOf(house.until(house.system.retry(waits)))).toBe('NOT_RETRYABLE');
    expect(await codeOf(house.until(house.system.retry(runs)))).toBe('NOT_RETRYABLE');
    work.run(runs.id).resolve('done');
    await house.run(0);
    expect(await codeOf(house.until(house.system.retry(runs)))).toBe('NOT_RETRYABLE');
    const twice = await failed();
    const both = Promise.all([codeOf(house.system.retry(twice)), codeOf(house.system.retry(twice))]);
    expect((await house.until(both)).sort()).toEqual(['NOT_RETRYABLE', 'ok']);
  });

  it('is kept when the machine dies right after it', async () => {
    await open();
    const task = await failed();
    await house.until(house.system.retry(task));
    house.crash();
    await house.start();
    await succeedsNow(task);
  });
});

describe('The newest progress', () => {
  it('is in the task, of its present life, where it is small; in memory, in rows, and after a crash', async () => {
    await open();
    const shown = async (task: Task): Promise<unknown> => (await house.until(house.system.get(task)))?.progress;
    const task = await submit({ maxAttempts: 2 });
    const { ctx } = work.run(task.id);
    await house.until(ctx.progress({ percent: 10 }));
    await house.until(ctx.progress({ percent: 20 }));
    expect(await shown(task)).toEqual({ percent: 20 });
    await house.flushed();
    expect(house.shared.rows.tasks.get(task.id)?.progress).toEqual({ percent: 20 });
    house.crash();
    await house.start();
    await house.run(0);
    expect(await shown(task)).toEqual({ percent: 20 });
    await house.until(work.run(task.id).ctx.progress({ text: 'x'.repeat(5_000) }));
    expect(await shown(task)).toBeUndefined();
    await house.until(work.run(task.id).ctx.progress(30));
    work.run(task.id).reject(new TypeError('no'));
    await house.until(house.system.cancel(task));
    await house.until(house.system.retry(task));
    expect(await shown(task)).toBeUndefined();
  });
});
