import { describe, expect, it } from '@jest/globals';
import { TaskflowOptions } from '../../../lib/config/taskflow.options.js';
import type { Telemetry } from '../../../lib/contracts/telemetry.interface.js';
import { BackpressureError } from '../../../lib/errors/admission.errors.js';
import { ValidationError } from '../../../lib/errors/request.errors.js';
import { type Entry, GuardService } from '../../../lib/guard/guard.service.js';
import { FakeClock } from '../../support/clock/fake-clock.js';

function guardOf(
  backpressure: Partial<TaskflowOptions['guard']['backpressure']> = {},
  executor: Partial<TaskflowOptions['executor']> = {},
) {
  const clock = new FakeClock();
  const defaults = new TaskflowOptions();
  const options: TaskflowOptions = {
    ...defaults,
    executor: { ...defaults.executor, ...executor },
    guard: {
      ...defaults.guard,
      backpressure: { ...defaults.guard.backpressure, ...backpressure },
      slots: { maxExecutionGlobal: 1, maxExecutionPerUser: 1, slotTimeoutMs: 100 },
    },
  };
  const counted: unknown[] = [];
  const telemetry = { count: (...args: unknown[]) => void counted.push(args) } as unknown as Telemetry;
  return { clock, counted, guard: new GuardService(options, clock, telemetry) };
}
interface Asked {
  readonly userId: string | null;
  readonly entry: Entry;
}
const starts = (userId: string | null): Asked => ({ userId, entry: 'start' });
const queues = (userId: string | null): Asked => ({ userId, entry: 'queue' });
const delays = (userId: string | null): Asked => ({ userId, entry: 'delayed' });
const waits = (userId: string | null): Asked => ({ userId, entry: 'slot' });
const admit = (guard: GuardService, { userId, entry }: Asked) => guard.admit(userId, entry);
const many = (asked: Asked, times: number, isTrusted = false) => Array.from({ length: times }, () => ({ ...asked, isTrusted }));
const refusalOf = (admission: Promise<unknown>): Promise<unknown> =>
  admission.then(
    () => 'admitted',
    (error: unknown) => (BackpressureError.is(error) ? { limit: error.limit, retryAfterMs: error.retryAfterMs } : error),
  );

describe('GuardService', () => {
  it('refuses past the global window, the user window and the queue, and counts each refusal under its limit', async () => {
    const { guard, counted } = guardOf({ maxTasksPerWindow: 3, maxTasksPerUserWindow: 1, maxQueuedSize: 2, windowSizeMs: 1000 });
    await admit(guard, starts('a'));
    expect(await refusalOf(admit(guard, starts('a')))).toEqual({ limit: 'user', retryAfterMs: 1000 });
    guard.waiting.queued.change(null, 2);
    expect(await refusalOf(admit(guard, queues('b')))).toMatchObject({ limit: 'queue' });
    guard.waiting.queued.change(null, -1);
    await admit(guard, queues('b'));
    await admit(guard, starts(null));
    expect(await refusalOf(admit(guard, starts(null)))).toEqual({ limit: 'global', retryAfterMs: 1000 });
    expect(guard.rejections).toEqual({ global: 1, user: 1, queue: 1, delayed: 0, slot: 0 });
    expect(counted).toEqual(['user', 'queue', 'global'].map((limit) => ['taskflow.guard.rejections', 1, { 'taskflow.limit': limit }]));
  });

  it('charges a refusal by one limit to no other', async () => {
    const { guard } = guardOf({ maxTasksPerWindow: 2, maxTasksPerUserWindow: 1, maxQueuedSize: 1 });
    await admit(guard, starts('a'));
    guard.waiting.queued.change(null, 1);
    for (let times = 0; times < 50; times += 1) {
      expect(await refusalOf(admit(guard, starts('a')))).toMatchObject({ limit: 'user' });
      expect(await refusalOf(admit(guard, queues('b')))).toMatchObject({ limit: 'queue' });
    }
    expect(await refusalOf(admit(guard, starts('b')))).toBe('admitted');
  });

  it('does not limit by the queue what starts at once', async () => {
    const { guard } = guardOf({ maxQueuedSize: 0 });
    expect(await refusalOf(admit(guard, starts('a')))).toBe('admitted');
    expect(await refusalOf(admit(guard, queues('a')))).toMatchObject({ limit: 'queue' });
  });

  it('takes a ticket back when nothing came of the submit', async () => {
    const { guard } = guardOf({ maxTasksPerWindow: 1 });
    const ticket = await admit(guard, starts('a'));
    expect(await refusalOf(admit(guard, starts('b')))).toMatchObject({ limit: 'global' });
    guard.giveBack(ticket);
    guard.giveBack(ticket);
    expect(await refusalOf(admit(guard, starts('b')))).toBe('admitted');
    expect(await refusalOf(admit(guard, starts('b')))).toMatchObject({ limit: 'global' });
  });

  it('decides in the very call: submits of one tick cannot share the last place', async () => {
    const { guard } = guardOf({ maxTasksPerWindow: 5 });
    const answers = await Promise.all(Array.from({ length: 20 }, () => refusalOf(admit(guard, starts(null)))));
    expect(answers.filter((answer) => answer === 'admitted')).toHaveLength(5);
  });

  it('estimates from the pace of the slots when the queue will have room', async () => {
    const { guard, clock } = guardOf({ maxQueuedSize: 10 });
    for (let times = 0; times < 10; times += 1) {
      const lease = guard.slots.tryAcquire('x', null)!;
      clock.advance(40);
      lease.release();
    }
    guard.waiting.queued.change(null, 14);
    expect(await refusalOf(admit(guard, queues(null)))).toEqual({ limit: 'queue', retryAfterMs: 200 });
  });

  it('does not promise the pace of short runs of long ago while all slots are held for long', async () => {
    const { guard, clock } = guardOf({ maxQueuedSize: 0 });
    for (let times = 0; times < 3; times += 1) {
      clock.advance(1);
      guard.slots.tryAcquire('x', null)!.release();
    }
    clock.advance(3_600_000);
    expect(await refusalOf(admit(guard, queues(null)))).toEqual({ limit: 'queue', retryAfterMs: 3_600_000 });
  });

  it('names no time after which there is room where none can be right', async () => {
    const off = guardOf({ maxQueuedSize: 0 }, { enabled: false }).guard;
    expect(await refusalOf(admit(off, queues('a')))).toEqual({ limit: 'queue', retryAfterMs: undefined });
    expect(await refusalOf(admit(off, waits('a')))).toEqual({ limit: 'slot', retryAfterMs: undefined });
    const { guard } = guardOf({ maxDelayedSize: 0, maxTasksPerWindow: 10, maxTasksPerUserWindow: 5 });
    expect(await refusalOf(admit(guard, delays('a')))).toEqual({ limit: 'delayed', retryAfterMs: undefined });
    expect(guard.rejections).toEqual({ global: 0, user: 0, queue: 0, delayed: 1, slot: 0 });
  });

  it.each([
    ['maxTasksPerWindow', {}, starts(null), 11, false],
    ['maxTasksPerUserWindow', {}, starts('a'), 6, false],
    ['maxTasksPerWindow', {}, starts('a'), 11, true],
    ['maxDelayedSize', { maxDelayedSize: 4 }, delays(null), 5, false],
    ['maxQueuedSize', { maxQueuedSize: 8 }, queues(null), 10, false], // it, and the one slot
    ['maxQueuedSize', { maxQueuedSize: 8 }, queues('a'), 7, true], // the user's part, which is the window, and the one slot
  ])('refuses for good what alone is more than a limit allows, and names it: %s %p', async (name, limits, asked, count, isTrusted) => {
    const { guard } = guardOf({ maxTasksPerWindow: 10, maxTasksPerUserWindow: 5, ...limits });
    const refused = await guard.admitMany(many(asked, count, isTrusted)).catch((error: unknown) => error);
    expect(refused).toMatchObject({ code: 'VALIDATION_FAILED', field: 'items' });
    expect((refused as Error).message).toContain(`guard.backpressure.${name} `);
    expect(Object.values(guard.rejections)).toEqual([0, 0, 0, 0, 0]);
    // One less is a matter of time.
    expect(ValidationError.is(await refusalOf(guard.admitMany(many(asked, count - 1, isTrusted))))).toBe(false);
  });

  it('lets one user wait for slots, and for times, with a part of the bound only', async () => {
    const { guard } = guardOf({ maxTasksPerUserWindow: 2, maxQueuedSize: 50, maxDelayedSize: 40 });
    const takenIn = async (asked: Asked): Promise<number> => {
      for (let taken = 0; ; taken += 1) {
        try {
          await guard.admit(asked.userId, asked.entry, true);
        } catch (error) {
          expect(BackpressureError.is(error) && error.limit).toBe(asked.entry);
          return taken;
        }
      }
    };
    // A tenth of 50 is 5, of 40 it is 4.
    expect([await takenIn(queues('a')), await takenIn(waits('a')), await takenIn(delays('a'))]).toEqual([5, 0, 4]);
    expect([await takenIn(waits('b')), await takenIn(queues('b')), await takenIn(delays('b'))]).toEqual([5, 0, 4]);
    expect([await takenIn(queues(null)), await takenIn(delays(null))]).toEqual([40, 32]);
    expect(await refusalOf(admit(guard, queues('c')))).toMatchObject({ limit: 'queue' });
  });

  it('keeps nobody else out for what waits without having been asked: due, retried and recovered tasks', async () => {
    const { guard } = guardOf({ maxTasksPerUserWindow: 3, maxQueuedSize: 10 });
    guard.waiting.queued.change('mallory', 1_000);
    guard.waiting.queued.change(null, 1_000, true);
    expect(await refusalOf(admit(guard, queues('mallory')))).toMatchObject({ limit: 'queue' });
    expect(await Promise.all(['a', 'b', 'c', 'd'].map((user) => refusalOf(admit(guard, queues(user)))))).toEqual(Array(4).fill('admitted'));
    expect(await refusalOf(admit(guard, queues('e')))).toMatchObject({ limit: 'queue' }); // 3 of mallory, 3 of nobody, 4 of others
    guard.waiting.queued.change('mallory', -1_000);
    guard.waiting.queued.change(null, -1_000, true);
    expect(await refusalOf(admit(guard, queues('mallory')))).toBe('admitted');
  });

  it('takes many in together or not at all, and says exactly when the windows have room for all', async () => {
    const { guard, clock } = guardOf({ maxTasksPerWindow: 7, maxTasksPerUserWindow: 4, maxQueuedSize: 50, windowSizeMs: 1000 });
    await guard.admitMany(many(starts('a'), 2));
    clock.advance(100);
    await guard.admitMany(many(starts('a'), 2));
    const three = [...many(starts('b'), 1), ...many(starts('a'), 2)];
    expect(await refusalOf(guard.admitMany(three))).toEqual({ limit: 'user', retryAfterMs: 900 });
    expect(await refusalOf(guard.admitMany([...many(starts('b'), 4), ...many(starts('c'), 2)]))).toEqual({
      limit: 'global',
      retryAfterMs: 1000,
    });
    clock.advance(899);
    expect(await refusalOf(guard.admitMany(three))).toEqual({ limit: 'user', retryAfterMs: 1 });
    clock.advance(1);
    const tickets = await guard.admitMany(three);
    expect(tickets).toHaveLength(3);
    for (const ticket of tickets) guard.giveBack(ticket);
    expect(await refusalOf(guard.admitMany(three))).toBe('admitted');
  });

  it('takes many to the queue together or not at all', async () => {
    const { guard } = guardOf({ maxTasksPerWindow: 100, maxTasksPerUserWindow: 4, maxQueuedSize: 10 });
    const batch = [...many(queues('a'), 2), ...many(waits('b'), 2), ...many(queues(null), 4), ...many(starts(null), 1)];
    const tickets = await guard.admitMany(batch);
    expect(await refusalOf(guard.admitMany(many(queues(null), 3)))).toMatchObject({ limit: 'queue' });
    expect(await refusalOf(guard.admitMany([...many(queues('a'), 2), ...many(starts('a'), 1)]))).toMatchObject({ limit: 'user' });
    expect(await refusalOf(guard.admitMany(many(queues('a'), 3, true)))).toMatchObject({ limit: 'queue' });
    for (const ticket of tickets) guard.giveBack(ticket);
    expect(await refusalOf(guard.admitMany(many(queues(null), 10)))).toBe('admitted');
  });

  it('lets trusted code pass the window of a user, and no other limit', async () => {
    const { guard } = guardOf({ maxTasksPerWindow: 5, maxTasksPerUserWindow: 1 });
    for (let times = 0; times < 4; times += 1) await guard.admit('a', 'start', true);
    expect(await refusalOf(admit(guard, starts('a')))).toBe('admitted'); // what was trusted is not charged to the user
    expect(await refusalOf(guard.admit('a', 'start', true))).toMatchObject({ limit: 'global' });
  });

  it('counts those that are on their way into the queue, until they are in it', async () => {
    const { guard } = guardOf({ maxQueuedSize: 2, maxTasksPerUserWindow: 1 });
    const ofA = admit(guard, queues('a'));
    const answers = [
      ofA.then(() => 'admitted'),
      ...[queues('a'), queues('b'), queues('c')].map((submit) => refusalOf(admit(guard, submit))),
    ];
    expect(await Promise.all(answers)).toMatchObject(['admitted', { limit: 'queue' }, 'admitted', { limit: 'queue' }]);
    guard.waiting.queued.change('a', 1);
    guard.entered(await ofA);
    guard.entered(await ofA);
    expect(await refusalOf(admit(guard, queues('c')))).toMatchObject({ limit: 'queue' });
    guard.waiting.queued.change('a', -1);
    expect(await refusalOf(admit(guard, queues('c')))).toBe('admitted');
  });

  it('counts submits that waited for a slot in vain', async () => {
    const { guard, clock } = guardOf();
    guard.slots.tryAcquire('x', 'a');
    const waiting = guard.slots.acquire('x', 'b').catch(() => 'timed out');
    await clock.run(100);
    expect(await waiting).toBe('timed out');
    expect(guard.rejections.slot).toBe(1);
  });
});
