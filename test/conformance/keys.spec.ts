import { describe, expect, it } from '@jest/globals';
import type { MessageEvent } from '@nestjs/common';
import type { TaskRef } from '../../lib/contracts/task-system.interface.js';
import type { Task } from '../../lib/contracts/task.interface.js';
import { codeOf, forEveryEngine, type House } from './house.js';

type Reuse = 'never' | 'unsuccessful' | 'ended';
const OF_ANN = { userId: 'ann', idempotencyKey: 'k' };

const ask = (house: House, keyReuse: Reuse = 'never', input: unknown = 1): Promise<Task> =>
  house.system.submit('work', { input, ...OF_ANN, maxAttempts: 1, keyReuse });
const submit = (house: House, keyReuse: Reuse = 'never', input: unknown = 1): Promise<Task> => house.until(ask(house, keyReuse, input));
const get = (house: House, ref: TaskRef): Promise<Task | null> => house.now(ref, { userId: 'ann' });

const ENDS = {
  completed: (house: House, { id }: Task): unknown => house.work.run(id).resolve('done'),
  failed: (house: House, { id }: Task): unknown => house.work.run(id).reject(new Error('no')),
  cancelled: (house: House, task: Task): unknown => house.until(house.system.cancel(task)),
};
async function ended(house: House, as: keyof typeof ENDS, keyReuse: Reuse = 'never'): Promise<Task> {
  const task = await submit(house, keyReuse);
  await house.runs(task);
  await ENDS[as](house, task);
  return house.reaches(as, task);
}

/** What a browser gets: until so many messages came. */
async function messages(house: House, ref: TaskRef, lastSeq: number, enough: number): Promise<MessageEvent[]> {
  const found: MessageEvent[] = [];
  const stream = await house.until(house.system.sse(ref, { userId: 'ann', lastSeq }));
  const subscription = stream.subscribe((message) => void (message.id === undefined || found.push(message)));
  await house.seen(
    () => found.length,
    (length) => length >= enough,
  );
  subscription.unsubscribe();
  return found;
}
const seqsOf = (all: readonly MessageEvent[]): unknown[] => all.map(({ data }) => (JSON.parse(data as string) as { seq: number }).seq);

forEveryEngine('A key', (house) => {
  it('makes one task, however many ask for it in the same moment, and costs its user one place in the window', async () => {
    await house.open({ guard: { backpressure: { maxTasksPerUserWindow: 2 } } });
    const tasks = await house.until(Promise.all(Array.from({ length: 20 }, () => ask(house))));
    expect(new Set(tasks.map(({ id }) => id)).size).toBe(1);
    expect(house.system.getStats().guard.rejections).toEqual({ global: 0, user: 0, queue: 0, delayed: 0, slot: 0 });
    expect(await house.until(codeOf(house.system.submit('work', { input: 2, userId: 'ann' })))).toBe('ok');
    expect(await house.until(codeOf(house.system.submit('work', { input: 3, userId: 'ann' })))).toBe('BACKPRESSURE');
    expect((await submit(house)).id).toBe(tasks[0]!.id);
  });

  it('with another input or name is a conflict, and creates nothing', async () => {
    await house.open();
    house.system.defineTask('other', house.work.definition);
    const task = await submit(house);
    expect(await codeOf(submit(house, 'never', 2))).toBe('IDEMPOTENCY_CONFLICT');
    expect(await codeOf(house.until(house.system.submit('other', { input: 1, ...OF_ANN })))).toBe('IDEMPOTENCY_CONFLICT');
    expect((await house.until(house.system.list())).items.map(({ id }) => id)).toEqual([task.id]);
  });

  it('belongs to its user: the same text of another one, or of nobody, is another key', async () => {
    await house.open();
    const tasks = await house.until(
      Promise.all(['ann', 'bob', null].map((userId) => house.system.submit('work', { input: 1, userId, idempotencyKey: 'k' }))),
    );
    expect(new Set(tasks.map(({ id }) => id)).size).toBe(3);
    expect((await get(house, 'k'))?.id).toBe(tasks[0]!.id);
  });

  it('derived from the input ignores the order of members, and separates users', async () => {
    await house.open();
    house.system.defineTask('derived', { ...house.work.definition, idempotency: 'input' });
    const derived = (input: unknown, userId: string | null): Promise<Task> => house.submit({ input, userId }, 'derived');
    const first = await derived({ a: 1, b: [2] }, 'ann');
    expect((await derived({ b: [2], a: 1 }, 'ann')).id).toBe(first.id);
    expect((await derived({ a: 1, b: [2] }, 'bob')).id).not.toBe(first.id);
    expect((await derived({ a: 1, b: [2] }, null)).id).not.toBe(first.id);
    await house.engine.atRest();
    expect((await derived({ b: [2], a: 1 }, 'ann')).id).toBe(first.id);
  });

  it('still finds its task after a crash', async () => {
    await house.open();
    const task = await submit(house);
    await house.crash();
    expect((await submit(house)).id).toBe(task.id);
    expect(await codeOf(submit(house, 'never', 2))).toBe('IDEMPOTENCY_CONFLICT');
  });

  describe('whose task has ended', () => {
    it.each([
      ['completed', 'never', false],
      ['completed', 'unsuccessful', false],
      ['completed', 'ended', true],
      ['failed', 'never', false],
      ['failed', 'unsuccessful', true],
      ['failed', 'ended', true],
      ['cancelled', 'unsuccessful', true],
      ['cancelled', 'ended', true],
    ] as const)('%s, with keyReuse %s begins a new task: %p; soon after and long after', async (as, keyReuse, isNew) => {
      for (const isAtRest of [false, true]) {
        await house.open();
        const old = await ended(house, as);
        if (isAtRest) await house.engine.atRest();
        const next = await submit(house, keyReuse);
        expect(next.id !== old.id).toBe(isNew);
        if (isNew) {
          expect(next).toMatchObject({ status: 'created', idempotencyKey: 'k', attempt: 1, lastSeq: 1 });
          expect(await get(house, 'k')).toMatchObject({ id: next.id });
          expect(await get(house, { taskId: old.id })).toMatchObject({ status: as, supersededBy: next.id });
          // Whoever asks without leave to use it again gets the newest one.
          expect((await submit(house, 'never')).id).toBe(next.id);
        }
        expect(await codeOf(submit(house, keyReuse === 'never' || !isNew ? keyReuse : 'never', 2))).toBe('IDEMPOTENCY_CONFLICT');
      }
    });

    it('is free for another name and input, where it may be used again', async () => {
      await house.open();
      house.system.defineTask('other', house.work.definition);
      await ended(house, 'failed');
      const next = await house.submit({ input: 2, ...OF_ANN, keyReuse: 'unsuccessful' }, 'other');
      expect(next.name).toBe('other');
      expect((await get(house, 'k'))?.id).toBe(next.id);
    });

    it('makes one new task, however many ask for it in the same moment', async () => {
      await house.open();
      const old = await ended(house, 'failed');
      const all = await house.until(Promise.all(Array.from({ length: 20 }, () => ask(house, 'ended'))));
      expect(new Set(all.map(({ id }) => id)).size).toBe(1);
      expect(all[0]!.id).not.toBe(old.id);
    });

    it('goes to the new task or back to life with the old one, when both are asked for at once', async () => {
      for (const order of [0, 1]) {
        await house.open();
        const old = await ended(house, 'failed');
        const retry = (): Promise<string> => codeOf(house.system.retry(old, { userId: 'ann' }));
        const reuse = (): Promise<string> =>
          ask(house, 'ended').then(
            ({ id }) => (id === old.id ? 'the old one' : 'a new one'),
            (error: { code: string }) => error.code,
          );
        const both = order === 0 ? Promise.all([retry(), reuse()]) : Promise.all([reuse(), retry()]).then((pair) => pair.reverse());
        expect([
          ['ok', 'the old one'],
          ['KEY_REUSED', 'a new one'],
        ]).toContainEqual(await house.until(both));
      }
    });

    it('is not given back by hand: a task that gave its key up is no dead letter, and stays as it ended', async () => {
      await house.open();
      const old = await ended(house, 'failed');
      await submit(house, 'unsuccessful');
      expect(await codeOf(house.until(house.system.retry(old, { userId: 'ann' })))).toBe('KEY_REUSED');
      expect(await codeOf(house.until(house.system.deadLetters.retry(old)))).toBe('NOT_DEAD_LETTERED');
      expect((await house.until(house.system.deadLetters.list())).items).toEqual([]);
    });
  });

  it('of a task that still waits or runs is never used again', async () => {
    await house.open();
    const task = await submit(house);
    expect((await submit(house, 'ended')).id).toBe(task.id);
    await house.runs(task);
    expect(await codeOf(submit(house, 'ended', 2))).toBe('IDEMPOTENCY_CONFLICT');
  });

  it('that was used again is known after a crash', async () => {
    await house.open();
    const old = await ended(house, 'failed');
    const next = await submit(house, 'ended');
    for (let time = 0; time < 2; time++) {
      await house.crash();
      expect((await get(house, 'k'))?.id).toBe(next.id);
      expect(await get(house, { taskId: old.id })).toMatchObject({ status: 'failed', supersededBy: next.id });
      await house.engine.atRest();
    }
  });
});

forEveryEngine('A stream by a key that was used again', (house) => {
  it('says that the old task is gone to a client that comes back, and gives it none of the new events', async () => {
    await house.open();
    const old = await ended(house, 'failed');
    expect((await messages(house, old, 0, 3)).map(({ id }) => id)).toEqual(['1', '2', '3']);
    await submit(house, 'ended');
    for (const lastSeq of [1, 2, 3]) {
      expect(await codeOf(house.until(house.system.sse('k', { userId: 'ann', lastSeq })))).toBe('STREAM_OVERFLOW');
      const resumed = house.system.subscribe('k', { userId: 'ann', lastSeq })[Symbol.asyncIterator]();
      await expect(house.until(resumed.next())).rejects.toMatchObject({ requestedSeq: lastSeq, firstAvailableSeq: 5 });
    }
  });

  it('starts over where the refusal says, and is resumed exactly by the ids that it gave', async () => {
    await house.open();
    await ended(house, 'failed');
    const next = await submit(house, 'ended');
    await house.runs(next);
    await house.until(house.work.run(next.id).ctx.progress(1));
    const whole = await messages(house, 'k', 4, 3);
    expect(whole.map(({ id }) => id)).toEqual(['5', '6', '7']);
    expect(seqsOf(whole)).toEqual([1, 2, 3]);
    expect(await messages(house, 'k', 0, 3)).toEqual(whole);
    expect(await messages(house, 'k', 6, 1)).toEqual(whole.slice(2));
    // By the task itself positions are the task's own.
    expect((await messages(house, next, 1, 2)).map(({ id }) => id)).toEqual(['2', '3']);
    await house.complete(next);
    for (const lastSeq of [8, 9]) expect(await codeOf(house.until(house.system.sse('k', { userId: 'ann', lastSeq })))).toBe('STREAM_ENDED');
  });

  it('goes on to number over many tasks of one key', async () => {
    await house.open();
    const bases: (number | undefined)[] = [];
    for (let n = 0; n < 3; n++) bases.push((await get(house, await ended(house, 'failed', 'ended')))?.keyBase);
    expect(bases).toEqual([undefined, 4, 8]);
  });
});
