import { afterEach, describe, expect, it } from '@jest/globals';
import type { TaskflowOptionsInput } from '../../../lib/config/taskflow-options.interface.js';
import { GuardService } from '../../../lib/guard/guard.service.js';
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

const codeOf = (promise: Promise<unknown>): Promise<string> =>
  promise.then(
    () => 'ok',
    (error: { code?: string; message: string }) => error.code ?? error.message,
  );
const count = (all: readonly string[], code: string): number => all.filter((each) => each === code).length;

afterEach(async () => {
  await house.stop();
});

describe('a burst of submits', () => {
  it('fills the queue to its bound and not beyond', async () => {
    await open({ guard: { slots: { maxExecutionGlobal: 1 }, backpressure: { maxQueuedSize: 5 } } });
    const burst = Array.from({ length: 30 }, () => codeOf(house.system.submit('work', { input: 1 })));
    const outcomes = await house.until(Promise.all(burst));
    expect(count(outcomes, 'ok')).toBe(6);
    expect(house.system.getStats().tasks.queued).toBe(5);
  });

  it('of which some start at once does not count those against the queue', async () => {
    await open({ guard: { slots: { maxExecutionGlobal: 10 }, backpressure: { maxQueuedSize: 5 } } });
    const burst = Array.from({ length: 15 }, () => codeOf(house.system.submit('work', { input: 1 })));
    expect(count(await house.until(Promise.all(burst)), 'ok')).toBe(15);
  });
});

describe('what waits', () => {
  const busy = { slots: { maxExecutionGlobal: 1, maxExecutionPerUser: 1, slotTimeoutMs: 60_000 } };
  const submit = (more: object): Promise<string> => codeOf(house.system.submit('work', { input: 1, ...more }));
  const burst = (times: number, more: object): Promise<string>[] => Array.from({ length: times }, () => submit(more));
  const rejections = () => house.get(GuardService).rejections;

  it('for a slot before it is created counts in the windows and in the queue, for its user too', async () => {
    await open({ guard: { ...busy, backpressure: { maxTasksPerWindow: 1_000, maxTasksPerUserWindow: 10, maxQueuedSize: 20 } } });
    expect(await house.until(submit({}))).toBe('ok');
    const outcomes: string[] = [];
    const keep = (all: Promise<string>[]): void => all.forEach((each) => void each.then((code) => outcomes.push(code)));
    keep(burst(50, { userId: 'mallory', waitForSlot: true }));
    keep(burst(50, { waitForSlot: true }));
    await house.run(100);
    expect(count(outcomes, 'BACKPRESSURE')).toBe(80);
    expect(rejections()).toEqual({ global: 0, user: 0, queue: 0, delayed: 0, slot: 80 });
    expect(house.get(GuardService).slots.waiting).toBe(20);
    expect(await house.until(submit({ userId: 'ann' }))).toBe('BACKPRESSURE'); // what waits for a slot fills the queue, too
    await house.run(60_000);
    expect(count(outcomes, 'SLOT_TIMEOUT')).toBe(20);
    expect(await house.until(Promise.all(burst(10, { userId: 'mallory' })))).toEqual(Array(10).fill('ok')); // nothing was charged for it
    expect(house.system.getStats().tasks.queued).toBe(10);
  });

  it('for its time keeps nobody from the queue, and is bounded by itself, for its user too', async () => {
    await open({
      guard: { ...busy, backpressure: { maxTasksPerWindow: 1_000, maxTasksPerUserWindow: 10, maxQueuedSize: 5, maxDelayedSize: 30 } },
    });
    const later = { runAt: new Date('9999-01-01') };
    expect(count(await house.until(Promise.all(burst(20, { userId: 'mallory', ...later }))), 'ok')).toBe(10);
    expect(count(await house.until(Promise.all(burst(40, later))), 'ok')).toBe(20);
    const refused = await house.until(house.system.submit('work', { input: 1, userId: 'ann', ...later }).catch((error: unknown) => error));
    expect(refused).toMatchObject({ code: 'BACKPRESSURE', limit: 'delayed' });
    expect(refused).not.toHaveProperty('retryAfterMs');
    expect(await house.until(Promise.all(burst(6, { userId: 'ann' })))).toEqual(Array(6).fill('ok'));
    expect(await house.until(submit({ userId: 'bob' }))).toBe('BACKPRESSURE');
    expect(house.system.getStats()).toMatchObject({ tasks: { queued: 5, delayed: 30 }, guard: { rejections: { delayed: 31, queue: 1 } } });
  });

  it('in thousands, for one user, once its time has come: others can queue all the same, also after a restart', async () => {
    const backpressure = {
      maxTasksPerWindow: 10_000,
      maxTasksPerUserWindow: 10,
      maxQueuedSize: 100,
      maxDelayedSize: 10_000,
      windowSizeMs: 10,
    };
    await open({ guard: { ...busy, backpressure } });
    for (let round = 0; round < 30; round += 1) {
      await house.until(Promise.all(burst(10, { userId: 'mallory', delayMs: 60_000 })));
      await house.run(10);
    }
    await house.run(60_000);
    expect(house.system.getStats().tasks).toMatchObject({ queued: 299, delayed: 0, running: 1 });
    expect(await house.until(Promise.all(['ann', 'bob'].map((userId) => submit({ userId }))))).toEqual(['ok', 'ok']);
    expect(await house.until(submit({ userId: 'mallory' }))).toBe('BACKPRESSURE');
    house.crash();
    work.forget();
    await house.start();
    await house.run(1_000);
    expect(house.system.getStats().tasks).toMatchObject({ queued: 301, running: 1 });
    expect(await house.until(Promise.all(['ann', 'bob'].map((userId) => submit({ userId }))))).toEqual(['ok', 'ok']);
  });

  it('for a handler that nobody defines here keeps nobody out', async () => {
    await open({ guard: { slots: { maxExecutionGlobal: 2 }, backpressure: { maxTasksPerUserWindow: 1, maxQueuedSize: 2 } } });
    house.system.defineTask('gone', work.definition);
    for (const name of ['work', 'work', 'gone', 'gone']) await house.until(house.system.submit(name, { input: 1 }));
    expect(await house.until(submit({}))).toBe('BACKPRESSURE');
    house.crash();
    work.forget();
    await house.start();
    await house.run(100);
    expect(house.system.getStats().tasks).toMatchObject({ running: 2, queued: 0, withoutHandler: 2 });
    expect(await house.until(Promise.all([submit({}), submit({})]))).toEqual(['ok', 'ok']);
    expect(await house.until(submit({}))).toBe('BACKPRESSURE');
    house.system.defineTask('gone', work.definition); // now they wait for a slot as well
    expect(house.system.getStats().tasks).toMatchObject({ queued: 4, withoutHandler: 0 });
    for (let done = 0; done < 3; done += 1) {
      expect(await house.until(submit({}))).toBe('BACKPRESSURE');
      [...work.runs.values()][0]!.resolve(1);
      await house.run(100);
    }
    expect(await house.until(submit({}))).toBe('ok');
  });
});

describe('a key', () => {
  it('makes one task, however many ask for it in the same moment', async () => {
    await open();
    const all = Array.from({ length: 20 }, () => house.system.submit('work', { input: { a: 1 }, userId: 'ann', idempotencyKey: 'k' }));
    const tasks = await house.until(Promise.all(all));
    expect(new Set(tasks.map((task) => task.id)).size).toBe(1);
    expect(house.get(GuardService).rejections).toEqual({ global: 0, user: 0, queue: 0, delayed: 0, slot: 0 });
  });

  it('is free for the next submit when the first one is refused for want of space', async () => {
    await open();
    house.disk.fault = { at: house.disk.operations.length + 1, kind: 'ENOSPC', only: ['write'] };
    const first = codeOf(house.system.submit('work', { input: 1, idempotencyKey: 'k' }));
    const second = codeOf(house.system.submit('work', { input: 1, idempotencyKey: 'k' }));
    expect(await house.until(Promise.all([first, second]))).toEqual(['EVENT_LOG_FULL', 'EVENT_LOG_FULL']);
    expect(house.disk.hasFired).toBe(true);
    expect(house.overlay.bytes).toBe(0);
    await house.run(2_000);
    const third = await house.until(house.system.submit('work', { input: 1, idempotencyKey: 'k' }));
    expect(third.lastSeq).toBe(1);
    expect(work.calls).toHaveLength(1);
  });

  it('that is hit costs no quota, and a refused append gives its ticket and slot back', async () => {
    await open({ guard: { slots: { maxExecutionGlobal: 2 }, backpressure: { maxTasksPerUserWindow: 2 } } });
    const params = { input: 1, userId: 'ann', idempotencyKey: 'k' };
    await house.until(house.system.submit('work', params));
    for (let hit = 0; hit < 5; hit++) await house.until(house.system.submit('work', params));
    house.disk.fault = { at: house.disk.operations.length + 1, kind: 'ENOSPC', only: ['write'] };
    expect(await house.until(codeOf(house.system.submit('work', { input: 2, userId: 'ann' })))).toBe('EVENT_LOG_FULL');
    expect(house.system.getStats().guard.slotsInUse).toBe(1);
    await house.run(2_000);
    expect(await house.until(codeOf(house.system.submit('work', { input: 3, userId: 'ann' })))).toBe('ok');
    expect(await house.until(codeOf(house.system.submit('work', { input: 4, userId: 'ann' })))).toBe('BACKPRESSURE');
  });

  it('derived from the input ignores the order of members, and separates users', async () => {
    await open();
    house.system.defineTask('derived', { ...work.definition, idempotency: 'input' });
    const submit = (input: unknown, userId: string | null) => house.until(house.system.submit('derived', { input, userId }));
    const first = await submit({ a: 1, b: [2] }, 'ann');
    expect((await submit({ b: [2], a: 1 }, 'ann')).id).toBe(first.id);
    expect((await submit({ a: 1, b: [2] }, 'bob')).id).not.toBe(first.id);
    expect((await submit({ a: 1, b: [2] }, null)).id).not.toBe(first.id);
    await house.flushed();
    expect((await submit({ b: [2], a: 1 }, 'ann')).id).toBe(first.id);
  });

  it('is not called free while the database is away, unless memory knows it', async () => {
    await open();
    const known = await house.until(house.system.submit('work', { input: 1, idempotencyKey: 'known' }));
    house.shared.isAway = true;
    expect((await house.until(house.system.submit('work', { input: 1, idempotencyKey: 'known' }))).id).toBe(known.id);
    expect(await house.until(codeOf(house.system.submit('work', { input: 1, idempotencyKey: 'other' })))).toBe('UNAVAILABLE');
    expect(await house.until(codeOf(house.system.submit('work', { input: 1 })))).toBe('ok');
    house.shared.isAway = false;
  });
});

describe('waiting for a slot', () => {
  it('that times out leaves nothing behind', async () => {
    await open({ guard: { slots: { maxExecutionGlobal: 1, slotTimeoutMs: 1_000 } } });
    await house.until(house.system.submit('work', { input: 1 }));
    const before = house.system.getStats().eventLog.durableSeq;
    const late = codeOf(house.system.submit('work', { input: 2, idempotencyKey: 'k', waitForSlot: true }));
    expect(await house.until(late)).toBe('SLOT_TIMEOUT');
    expect(await house.until(house.system.getStatus('k'))).toBeNull();
    expect(house.system.getStats().eventLog.durableSeq).toBe(before);
    expect(house.system.getStats().guard.slotsInUse).toBe(1);
    expect(house.system.getStats().tasks.queued).toBe(0);
  });
});

describe('a process whose executor is off', () => {
  it('runs nothing, also for a submit that waits for a slot', async () => {
    await open({ executor: { enabled: false }, guard: { slots: { slotTimeoutMs: 1_000 } } });
    expect(await house.until(codeOf(house.system.submit('work', { input: 1, waitForSlot: true })))).toBe('SLOT_TIMEOUT');
    expect(await house.until(codeOf(house.system.submit('work', { input: 2 })))).toBe('ok');
    await house.run(5_000);
    expect(work.calls).toEqual([]);
    expect(house.system.getStats()).toMatchObject({ guard: { slotsInUse: 0 }, tasks: { queued: 1, running: 0 } });
  });
});

describe('a submit during shutdown', () => {
  it.each([0, 1, 2, 3, 5, 8, 13, 21])('after %i turns of promises is refused, or found after the restart', async (turns) => {
    await open({ executor: { retry: { jitter: false } } });
    const submit = house.system.submit('work', { input: 1 }).then(
      (task) => task.id as string,
      (error: { code: string }) => error.code,
    );
    for (let turn = 0; turn < turns; turn++) await Promise.resolve();
    const stopped = house.system.shutdown({ timeoutMs: 0 });
    await house.until(stopped);
    const outcome = await house.until(submit);
    await house.stop();
    await house.start();
    if (outcome.length < 36) expect(outcome).toMatch(/SHUTTING_DOWN|EVENT_LOG/);
    else {
      expect(await house.until(house.system.getStatus(outcome))).not.toBeNull();
      await house.run(2_000);
      expect(work.runs.has(outcome)).toBe(true);
    }
  });
});
