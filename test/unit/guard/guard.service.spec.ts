import { describe, expect, it } from '@jest/globals';
import { TaskflowOptions } from '../../../lib/config/taskflow.options.js';
import type { Telemetry } from '../../../lib/contracts/telemetry.interface.js';
import { BackpressureError } from '../../../lib/errors/admission.errors.js';
import { GuardService } from '../../../lib/guard/guard.service.js';
import { FakeClock } from '../../support/fake-clock.js';

function guardOf(backpressure: Partial<TaskflowOptions['guard']['backpressure']> = {}) {
  const clock = new FakeClock();
  const defaults = new TaskflowOptions();
  const options: TaskflowOptions = {
    ...defaults,
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
const starts = (userId: string | null) => ({ userId, waiting: null });
const queues = (userId: string | null, waiting: number) => ({ userId, waiting });
const admit = (guard: GuardService, { userId, waiting }: { userId: string | null; waiting: number | null }) => guard.admit(userId, waiting);
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
    expect(await refusalOf(admit(guard, queues('b', 2)))).toMatchObject({ limit: 'queue' });
    await admit(guard, queues('b', 1));
    await admit(guard, starts(null));
    expect(await refusalOf(admit(guard, starts(null)))).toEqual({ limit: 'global', retryAfterMs: 1000 });
    expect(guard.rejections).toEqual({ global: 1, user: 1, queue: 1, slot: 0 });
    expect(counted).toEqual(['user', 'queue', 'global'].map((limit) => ['taskflow.guard.rejections', 1, { 'taskflow.limit': limit }]));
  });

  it('charges a refusal by one limit to no other', async () => {
    const { guard } = guardOf({ maxTasksPerWindow: 2, maxTasksPerUserWindow: 1, maxQueuedSize: 1 });
    await admit(guard, starts('a'));
    for (let times = 0; times < 50; times += 1) {
      expect(await refusalOf(admit(guard, starts('a')))).toMatchObject({ limit: 'user' });
      expect(await refusalOf(admit(guard, queues('b', 1)))).toMatchObject({ limit: 'queue' });
    }
    expect(await refusalOf(admit(guard, starts('b')))).toBe('admitted');
  });

  it('does not limit by the queue what starts at once', async () => {
    const { guard } = guardOf({ maxQueuedSize: 0 });
    expect(await refusalOf(admit(guard, starts('a')))).toBe('admitted');
    expect(await refusalOf(admit(guard, queues('a', 0)))).toMatchObject({ limit: 'queue' });
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
    expect(await refusalOf(admit(guard, queues(null, 14)))).toEqual({ limit: 'queue', retryAfterMs: 200 });
  });

  it('counts those that are on their way into the queue, until they are in it', async () => {
    const { guard } = guardOf({ maxQueuedSize: 2, maxTasksPerUserWindow: 1 });
    const answers = [queues('a', 0), queues('a', 0), queues('b', 0), queues('c', 0)].map((submit) => refusalOf(admit(guard, submit)));
    expect(await Promise.all(answers)).toMatchObject(['admitted', { limit: 'user' }, 'admitted', { limit: 'queue' }]);
    guard.entered();
    expect(await refusalOf(admit(guard, queues('c', 1)))).toMatchObject({ limit: 'queue' });
    expect(await refusalOf(admit(guard, queues('c', 0)))).toBe('admitted');
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
