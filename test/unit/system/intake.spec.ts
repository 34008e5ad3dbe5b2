import { afterEach, describe, expect, it } from '@jest/globals';
import type { TaskflowOptionsInput } from '../../../lib/config/taskflow-options.interface.js';
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

describe('what waits', () => {
  const busy = { slots: { maxExecutionGlobal: 1, maxExecutionPerUser: 1, slotTimeoutMs: 60_000 } };
  const submit = (more: object): Promise<string> => codeOf(house.system.submit('work', { input: 1, ...more }));
  const burst = (times: number, more: object): Promise<string>[] => Array.from({ length: times }, () => submit(more));
  const rejections = () => house.parts.guard.rejections;

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
    expect(house.parts.guard.slots.waiting).toBe(20);
    expect(await house.until(submit({ userId: 'ann' }))).toBe('BACKPRESSURE'); // what waits for a slot fills the queue, too
    await house.run(60_000);
    expect(count(outcomes, 'SLOT_TIMEOUT')).toBe(20);
    expect(await house.until(Promise.all(burst(10, { userId: 'mallory' })))).toEqual(Array(10).fill('ok')); // nothing was charged for it
    expect(house.system.getStats().tasks.queued).toBe(10);
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
});

describe('a key', () => {
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
