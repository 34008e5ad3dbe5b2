import { describe, expect, it } from '@jest/globals';
import { DeadLetterService } from '../../lib/dead-letters/dead-letter.service.js';
import type { Task } from '../../lib/contracts/task.interface.js';
import { seededRandom } from '../support/clock/fake-clock.js';
import { OF_A_TASK, answerOf, refsOf } from '../support/oracle/owner-attacks.js';
import { codeOf, forEveryEngine, type House } from './house.js';

const idsOf = (tasks: readonly Task[]): string[] => tasks.map(({ id }) => id);

forEveryEngine('A list', (house) => {
  it('is newest first, filtered by owner, name, status and tag, and holds what was acknowledged a moment ago', async () => {
    await house.open();
    house.system.defineTask('other', house.work.definition);
    const later = { delayMs: 600_000 };
    const a = await house.submit({ userId: 'ann', tags: ['x', 'y'], ...later });
    const b = await house.submit({ userId: 'bob', tags: ['y'], ...later });
    const c = await house.submit({ userId: 'ann', ...later }, 'other');
    const d = await house.failed();
    for (const isAtRest of [false, true]) {
      if (isAtRest) await house.engine.atRest();
      const list = async (options: object): Promise<string[]> => idsOf((await house.until(house.system.list(options))).items);
      expect(await list({})).toEqual(idsOf([d, c, b, a]));
      expect(await list({ userId: 'ann' })).toEqual(idsOf([c, a]));
      expect(await list({ userId: null })).toEqual(idsOf([d]));
      expect(await list({ name: 'other' })).toEqual(idsOf([c]));
      expect(await list({ tag: 'y' })).toEqual(idsOf([b, a]));
      expect(await list({ status: 'created', userId: 'ann' })).toEqual(idsOf([c, a]));
      expect(await list({ status: 'failed' })).toEqual(idsOf([d]));
      expect(await list({ deadLettered: true })).toEqual(idsOf([d]));
      expect(await list({ deadLettered: true, status: 'completed' })).toEqual([]);
    }
  });

  it.each([1, 2])('paged through while tasks change gives each that was there throughout once (seed %i)', async (seed) => {
    await house.open({ flush: { flushIntervalMs: 50 } });
    const random = seededRandom(seed);
    const there = idsOf(await house.until(Promise.all(Array.from({ length: 200 }, () => house.system.submit('work', { input: 1 })))));
    const found: string[] = [];
    let cursor: string | null | undefined;
    while (cursor !== null) {
      const page = await house.until(house.system.list({ limit: 37, ...(cursor === undefined ? {} : { cursor }) }));
      found.push(...idsOf(page.items));
      cursor = page.nextCursor;
      for (const id of [...house.work.runs.keys()].slice(0, 5)) house.work.run(id).resolve(1);
      await house.until(Promise.all([1, 2, 3].map((input) => house.system.submit('work', { input }))));
      if (random() < 0.5) await house.pass(60);
    }
    expect(found.length).toBe(new Set(found).size);
    expect(there.filter((id) => !found.includes(id))).toEqual([]);
  });

  it.each([
    [{ status: 'gone' }, 'status'],
    [{ limit: 0 }, 'limit'],
    [{ cursor: 'not one of ours' }, 'cursor'],
    [{ deadLettered: 'yes' }, 'deadLettered'],
    [{ user: 'ann' }, 'user'],
  ])('that asks for what there is not is refused by name: %p', async (options, field) => {
    await house.open();
    await expect(house.until(house.system.list(options as object))).rejects.toMatchObject({ code: 'VALIDATION_FAILED', field });
  });
});

const PLACES: Record<string, (house: House) => Promise<Task>> = {
  'that waits': (house) => house.submit({ userId: 'ann', idempotencyKey: 'k', delayMs: 1e7 }),
  'that runs': (house) => house.running({ userId: 'ann', idempotencyKey: 'k' }),
  'that has ended, at rest': async (house) => {
    const task = await house.complete(await house.running({ userId: 'ann', idempotencyKey: 'k' }));
    await house.engine.atRest();
    return task;
  },
  'that is a dead letter': (house) => house.failed({ userId: 'ann', idempotencyKey: 'k' }),
};

forEveryEngine('An owner', (house) => {
  describe.each(Object.entries(PLACES))('of a task %s', (_place, make) => {
    it.each(Object.entries(OF_A_TASK))('is the only one who hears of it: %s is a plain miss for others', async (_name, call) => {
      await house.open();
      const task = await make(house);
      const before = await house.now({ taskId: task.id });
      for (const [kind, hit, miss] of refsOf(task)) {
        for (const userId of ['eve', null]) {
          const plain = await house.until(answerOf(call(house.system, miss, { userId })));
          expect([kind, await house.until(answerOf(call(house.system, hit, { userId })))]).toEqual([kind, plain]);
        }
      }
      expect(await house.now({ taskId: task.id })).toEqual(before);
    });

    it('finds it by key, id, task and event, and is in no list of anybody else', async () => {
      await house.open();
      const task = await make(house);
      for (const [kind, hit] of refsOf(task)) {
        if (kind === 'a generated key') continue; // it has a key that was chosen
        expect([kind, (await house.now(hit, { userId: 'ann' }))?.id]).toEqual([kind, task.id]);
      }
      for (const userId of ['eve', null]) {
        expect((await house.until(house.system.list({ userId }))).items).toEqual([]);
        expect((await house.until(house.system.deadLetters.list({ userId }))).items).toEqual([]);
        const own = await house.submit({ input: 2, userId, idempotencyKey: task.idempotencyKey, delayMs: 1e7 });
        expect(own.id).not.toBe(task.id);
      }
    });
  });
});

forEveryEngine('Dead letters', (house) => {
  const dead = (): DeadLetterService => house.node.get(DeadLetterService);
  const listed = async (options: object = {}): Promise<string[]> => idsOf((await house.until(dead().list(options))).items);

  it('are the failed tasks, newest first, until they are removed or retried; also after a crash', async () => {
    await house.open();
    const tasks = [await house.failed({ userId: 'ann' }), await house.failed({ userId: 'bob' }), await house.failed({ userId: 'ann' })];
    await house.complete(await house.running());
    expect(await listed()).toEqual(idsOf(tasks).reverse());
    expect(await listed({ userId: 'ann' })).toEqual([tasks[2]!.id, tasks[0]!.id]);
    expect(await house.until(dead().remove(tasks[0]!))).toBe(true);
    expect(await house.until(dead().remove(tasks[0]!))).toBe(false);
    expect(await house.until(dead().retry(tasks[1]!))).toMatchObject({ status: 'created', attempt: 1, life: 2 });
    await house.complete(tasks[1]!);
    await house.crash();
    expect(await listed()).toEqual([tasks[2]!.id]);
    expect(await house.now(tasks[0]!)).toMatchObject({ status: 'failed', deadLetteredAt: null });
  });

  it.each([false, true])('are the newest of all failures, for a list, a retry and a removal alike (at rest: %p)', async (isAtRest) => {
    await house.open({ guard: { dlq: { maxSize: 2 } } });
    const oldest = await house.failed();
    const ann = await house.failed({ userId: 'ann' });
    const newest = await house.failed({ userId: 'cid' });
    if (isAtRest) await house.engine.atRest();
    expect(await listed()).toEqual(idsOf([newest, ann]));
    expect(await house.until(codeOf(dead().retry(oldest)))).toBe('NOT_DEAD_LETTERED');
    expect(await house.until(dead().remove(oldest))).toBe(false);
    // One of the newer ones leaves: there is room for it again.
    expect(await house.until(dead().remove(newest))).toBe(true);
    expect(await listed()).toEqual(idsOf([ann, oldest]));
    expect(await house.until(dead().retry(oldest))).toMatchObject({ id: oldest.id, status: 'created' });
  });

  it('are retried together, those that were chosen', async () => {
    await house.open();
    const tasks = [await house.failed({ input: 1 }), await house.failed({ input: 2 }), await house.failed({ input: 3 })];
    expect(await house.until(dead().retryAll((task) => task.input !== 2))).toBe(2);
    expect(await listed()).toEqual([tasks[1]!.id]);
    await house.complete(tasks[0]!);
    await house.complete(tasks[2]!);
  });

  it('asked for at once go back to life once', async () => {
    await house.open();
    const task = await house.failed();
    const codes = await house.until(
      Promise.all([codeOf(dead().retry(task)), codeOf(dead().retry(task)), codeOf(house.system.retry(task))]),
    );
    expect(codes.filter((code) => code === 'ok')).toHaveLength(1);
    expect(await house.now(task)).toMatchObject({ life: 2 });
  });
});

forEveryEngine('A retry by hand', (house) => {
  it('opens a new life, whatever the dead-letter queue would say', async () => {
    await house.open({ guard: { dlq: { maxRetries: 1, maxSize: 1 } } });
    const often = await house.failed();
    for (let life = 2; life <= 4; life++) {
      expect(await house.until(house.system.retry(often))).toMatchObject({ status: 'created', attempt: 1, life });
      await house.runs(often);
      house.work.run(often.id).reject(new Error('down'));
      await house.reaches('failed', often);
    }
    await house.failed();
    expect(await house.until(codeOf(house.system.deadLetters.retry(often)))).toBe('NOT_DEAD_LETTERED');
    await house.until(house.system.retry(often));
    expect(await house.complete(often)).toMatchObject({ life: 5 });
  });

  it('takes tasks that were removed from the dead letters, and cancelled ones, soon and late alike', async () => {
    for (const isAtRest of [false, true]) {
      await house.open();
      const removed = await house.failed();
      await house.until(house.system.deadLetters.remove(removed));
      const cancelled = await house.submit({ delayMs: 600_000 });
      await house.until(house.system.cancel(cancelled));
      const whileRunning = await house.running();
      await house.until(house.system.cancel(whileRunning));
      await house.reaches('cancelled', whileRunning);
      if (isAtRest) await house.engine.atRest();
      for (const task of [removed, cancelled, whileRunning]) {
        expect(await house.until(house.system.retry(task))).toMatchObject({ status: 'created', cancelRequestedAt: null, life: 2 });
        await house.complete(task);
      }
    }
  });

  it('is a conflict for tasks that wait, run or completed', async () => {
    await house.open();
    const waits = await house.submit({ delayMs: 600_000 });
    const runs = await house.running();
    for (const task of [waits, runs]) expect(await house.until(codeOf(house.system.retry(task)))).toBe('NOT_RETRYABLE');
    await house.complete(runs);
    expect(await house.until(codeOf(house.system.retry(runs)))).toBe('NOT_RETRYABLE');
  });
});
