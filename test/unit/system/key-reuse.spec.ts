import { afterEach, describe, expect, it } from '@jest/globals';
import type { TaskflowOptionsInput } from '../../../lib/config/taskflow-options.interface.js';
import type { TaskRef } from '../../../lib/contracts/task-system.interface.js';
import type { Task } from '../../../lib/contracts/task.interface.js';
import { HandDrivenWork } from '../../support/doubles/hand-driven-work.js';
import { WholeSystem } from '../../support/doubles/whole-system.js';

let house: WholeSystem;
let work: HandDrivenWork;

async function open(options: TaskflowOptionsInput = {}): Promise<void> {
  house = new WholeSystem(options);
  work = new HandDrivenWork();
  house.definitions.set('work', work.definition);
  house.definitions.set('other', work.definition);
  await house.start();
}
type Reuse = 'never' | 'unsuccessful' | 'ended';
const ask = (keyReuse: Reuse = 'never', input: unknown = 1, more: object = {}): Promise<Task> =>
  house.system.submit('work', { input, userId: 'ann', idempotencyKey: 'k', maxAttempts: 1, keyReuse, ...more });
async function submit(keyReuse: Reuse = 'never', input: unknown = 1, more: object = {}): Promise<Task> {
  const task = await house.until(ask(keyReuse, input, more));
  await house.run(0);
  return task;
}
const get = async (ref: TaskRef): Promise<Task | null> => house.until(house.system.get(ref, { userId: 'ann' }));
const codeOf = (promise: Promise<unknown>): Promise<string> =>
  promise.then(
    () => 'ok',
    (error: { code?: string; message: string }) => error.code ?? error.message,
  );
const ENDS: Record<string, (task: Task) => Promise<void>> = {
  completed: async ({ id }) => work.run(id).resolve('done'),
  failed: async ({ id }) => work.run(id).reject(new Error('no')),
  cancelled: async (task) => void (await house.until(house.system.cancel(task))),
};
async function ended(as: keyof typeof ENDS, keyReuse: Reuse = 'never'): Promise<Task> {
  const task = await submit(keyReuse);
  await ENDS[as]!(task);
  await house.run(0);
  expect((await get(task))?.status).toBe(as);
  return task;
}

afterEach(async () => {
  await house.stop();
});

describe('A key whose task has ended', () => {
  it('stays with the old task when the new one is refused for want of space, and costs no quota', async () => {
    await open({ guard: { backpressure: { maxTasksPerUserWindow: 2 } } });
    const old = await ended('failed');
    house.disk.fault = { at: house.disk.operations.length + 1, kind: 'ENOSPC', only: ['write'] };
    expect(await codeOf(house.until(ask('ended')))).toBe('EVENT_LOG_FULL');
    expect(house.disk.hasFired).toBe(true);
    await house.run(5_000);
    expect((await submit('never')).id).toBe(old.id);
    expect((await get('k'))?.supersededBy).toBeUndefined();
    expect((await submit('ended')).id).not.toBe(old.id);
  });

  it('is where it was, or is with the new task, when the power fails at any moment of the use', async () => {
    for (const mode of ['drop', 'keep'] as const) {
      await open();
      const old = await ended('failed');
      const asked = codeOf(ask('ended'));
      await Promise.resolve();
      house.crash(mode);
      work.forget();
      void asked;
      await house.start();
      await house.run(0);
      const holder = (await get('k'))!;
      const before = (await get({ taskId: old.id }))!;
      if (holder.id === old.id) expect(before.supersededBy).toBeUndefined();
      else expect(before.supersededBy).toBe(holder.id);
      await house.stop();
    }
    await open();
  });

  it('is known after crashes and flushes in whatever order, and when the old task is pruned', async () => {
    await open({ guard: { dlq: { ttlMs: 1_000 } }, retention: { completedTtlMs: 60_000, failedTtlMs: 60_000, sweepIntervalMs: 10_000 } });
    const old = await ended('failed');
    const next = await submit('ended');
    house.crash();
    work.forget();
    await house.start();
    await house.run(2_000);
    expect((await get('k'))?.id).toBe(next.id);
    await house.flushed();
    house.crash();
    work.forget();
    await house.start();
    await house.run(2_000);
    expect((await get('k'))?.id).toBe(next.id);
    await house.run(120_000);
    await house.flushed();
    expect(await get({ taskId: old.id })).toBeNull();
    expect((await submit('never')).id).toBe(next.id);
  });
});
