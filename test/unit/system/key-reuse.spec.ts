import type { MessageEvent } from '@nestjs/common';
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
const messages = async (ref: TaskRef, lastSeq: number): Promise<MessageEvent[]> => {
  const seen: MessageEvent[] = [];
  const stream = await house.until(house.system.sse(ref, { userId: 'ann', lastSeq }));
  const subscription = stream.subscribe((message) => void (message.id === undefined || seen.push(message)));
  await house.run(0);
  subscription.unsubscribe();
  return seen;
};
const seqsOf = (all: readonly MessageEvent[]): unknown[] => all.map(({ data }) => (JSON.parse(data as string) as { seq: number }).seq);

afterEach(async () => {
  await house.stop();
});

describe('A key whose task has ended', () => {
  it.each([
    ['completed', 'never', false],
    ['completed', 'unsuccessful', false],
    ['completed', 'ended', true],
    ['failed', 'never', false],
    ['failed', 'unsuccessful', true],
    ['failed', 'ended', true],
    ['cancelled', 'unsuccessful', true],
    ['cancelled', 'ended', true],
  ] as const)('%s, with keyReuse %s begins a new task: %p; in memory and in rows', async (as, keyReuse, isNew) => {
    for (const isFlushed of [false, true]) {
      await open();
      const old = await ended(as);
      if (isFlushed) await house.flushed();
      const next = await submit(keyReuse);
      expect(next.id !== old.id).toBe(isNew);
      if (isNew) {
        expect(next).toMatchObject({ status: 'created', idempotencyKey: 'k', attempt: 1, lastSeq: 1 });
        expect(await get('k')).toMatchObject({ id: next.id });
        expect(await get({ taskId: old.id })).toMatchObject({ status: as, supersededBy: next.id });
        // Whoever asks without leave to use it again gets the newest one.
        expect((await submit('never')).id).toBe(next.id);
      }
      // Where the new one came with another input, the old one must not stand in its way.
      expect(await codeOf(house.until(ask(keyReuse, 2)))).toBe('IDEMPOTENCY_CONFLICT');
      await house.stop();
    }
    await open();
  });

  it('is free for another name and input, where it may be used again', async () => {
    await open();
    await ended('failed');
    const next = await house.until(
      house.system.submit('other', { input: 2, userId: 'ann', idempotencyKey: 'k', keyReuse: 'unsuccessful' }),
    );
    expect(next.name).toBe('other');
    expect((await get('k'))?.id).toBe(next.id);
  });

  it('makes one new task, however many ask for it in the same moment', async () => {
    await open();
    const old = await ended('failed');
    const all = await house.until(Promise.all(Array.from({ length: 20 }, () => ask('ended'))));
    expect(new Set(all.map(({ id }) => id)).size).toBe(1);
    expect(all[0]!.id).not.toBe(old.id);
  });

  it('of a task that still waits or runs is never used again', async () => {
    await open();
    const running = await submit();
    expect((await submit('ended')).id).toBe(running.id);
    expect(await codeOf(house.until(ask('ended', 2)))).toBe('IDEMPOTENCY_CONFLICT');
  });

  it('goes to the new task or back to life with the old one, when both are asked for at once', async () => {
    for (const order of [0, 1]) {
      await open();
      const old = await ended('failed');
      const retry = (): Promise<string> => codeOf(house.system.retry(old, { userId: 'ann' }));
      const reuse = (): Promise<string> =>
        ask('ended').then(
          ({ id }) => (id === old.id ? 'the old one' : 'a new one'),
          (error: { code: string }) => error.code,
        );
      const [first, second] = await house.until(order === 0 ? Promise.all([retry(), reuse()]) : Promise.all([reuse(), retry()]));
      const [retried, reused] = order === 0 ? [first, second] : [second, first];
      expect([
        ['ok', 'the old one'],
        ['KEY_REUSED', 'a new one'],
      ]).toContainEqual([retried, reused]);
      await house.stop();
    }
    await open();
  });

  it('is not given back by hand: a task that gave its key up is no dead letter, and stays as it ended', async () => {
    await open();
    const old = await ended('failed');
    await submit('unsuccessful');
    await house.run(11_000); // the count is taken anew
    expect(await codeOf(house.until(house.system.retry(old, { userId: 'ann' })))).toBe('KEY_REUSED');
    expect(await codeOf(house.until(house.system.deadLetters.retry(old)))).toBe('NOT_DEAD_LETTERED');
    expect(house.system.getStats().tasks.deadLettered).toBe(0);
    expect((await house.until(house.system.deadLetters.list())).items).toEqual([]);
  });

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

describe('A stream by a key that was used again', () => {
  it('says that the old task is gone to a client that comes back, and gives it none of the new events', async () => {
    await open();
    const old = await ended('failed');
    const first = await messages(old, 0);
    expect(first.map(({ id }) => id)).toEqual(['1', '2', '3']);
    await submit('ended');
    for (const lastSeq of [1, 2, 3]) {
      expect(await codeOf(house.until(house.system.sse('k', { userId: 'ann', lastSeq })))).toBe('STREAM_OVERFLOW');
      const resumed = house.system.subscribe('k', { userId: 'ann', lastSeq })[Symbol.asyncIterator]();
      await expect(house.until(resumed.next())).rejects.toMatchObject({ requestedSeq: lastSeq, firstAvailableSeq: 5 });
    }
  });

  it('starts over where the refusal says, and is resumed exactly by the ids that it gave', async () => {
    await open();
    await ended('failed');
    const next = await submit('ended');
    await house.until(work.run(next.id).ctx.progress(1));
    const whole = await messages('k', 4);
    expect(whole.map(({ id }) => id)).toEqual(['5', '6', '7']);
    expect(seqsOf(whole)).toEqual([1, 2, 3]);
    expect(await messages('k', 0)).toEqual(whole);
    expect(await messages('k', 6)).toEqual(whole.slice(2));
    // By the task itself positions are the task's own.
    expect((await messages(next, 1)).map(({ id }) => id)).toEqual(['2', '3']);
    work.run(next.id).resolve('done');
    await house.run(0);
    expect(await codeOf(house.until(house.system.sse('k', { userId: 'ann', lastSeq: 8 })))).toBe('STREAM_ENDED');
    expect(await codeOf(house.until(house.system.sse('k', { userId: 'ann', lastSeq: 9 })))).toBe('STREAM_ENDED');
  });

  it('goes on to number over many tasks of one key', async () => {
    await open();
    const bases: (number | undefined)[] = [];
    for (let n = 0; n < 3; n++) bases.push((await get(await ended('failed', 'ended')))?.keyBase);
    expect(bases).toEqual([undefined, 4, 8]);
  });
});
