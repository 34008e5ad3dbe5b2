import { describe, expect, it } from '@jest/globals';
import { SlotTimeoutError } from '../../../lib/errors/admission.errors.js';
import { ExecutionSlots } from '../../../lib/guard/execution-slots.js';
import { FakeClock, settle } from '../../support/clock/fake-clock.js';
import { queueOf, workItem } from '../../support/doubles/work-items.js';

function slotsOf(maxExecutionGlobal = 2, maxExecutionPerUser = 10, slotTimeoutMs = 1000) {
  const clock = new FakeClock();
  let timedOut = 0;
  const slots = new ExecutionSlots({ maxExecutionGlobal, maxExecutionPerUser, slotTimeoutMs }, clock, () => (timedOut += 1));
  return { clock, slots, timeouts: () => timedOut };
}

describe('ExecutionSlots', () => {
  it('holds the global limit, the limit per user and the limit per handler', () => {
    const { slots } = slotsOf(5, 2);
    slots.limitHandler('rare', 1);
    expect(['a', 'a', 'a'].map((user) => slots.tryAcquire('x', user) !== null)).toEqual([true, true, false]);
    expect(['b', 'c'].map((user) => slots.tryAcquire('rare', user) !== null)).toEqual([true, false]);
    expect([null, null, null].map((user) => slots.tryAcquire('x', user) !== null)).toEqual([true, true, false]);
    expect(slots.inUse).toBe(5);
  });

  it('lets tasks without a user share no limit per user', () => {
    const { slots } = slotsOf(100, 1);
    for (let times = 0; times < 100; times += 1) expect(slots.tryAcquire('x', null)).not.toBeNull();
  });

  it('frees a slot once, however often it is released, and forgets users without runs', () => {
    const { slots } = slotsOf(10, 1);
    const lease = slots.tryAcquire('x', 'a')!;
    slots.tryAcquire('x', 'b');
    lease.recovered();
    lease.release();
    lease.release();
    expect(slots.inUse).toBe(1);
    expect([slots.freeForUser('a'), slots.freeForUser('b')]).toEqual([1, 0]);
  });

  it('lends a slot while the last entry of its run is on its way, and frees it once in all', () => {
    const { slots } = slotsOf(1, 1);
    const lease = slots.tryAcquire('x', 'a')!;
    lease.lend();
    lease.lend();
    const next = slots.tryAcquire('x', 'a');
    expect(next).not.toBeNull();
    lease.release();
    expect(slots.inUse).toBe(1);
    next!.release();
    expect(slots.inUse).toBe(0);
  });

  it('takes a lent slot back when the entry was refused, beyond the limit if need be, and gives out none until there is room', () => {
    const { slots } = slotsOf(1, 1);
    const lease = slots.tryAcquire('x', 'a')!;
    lease.lend();
    const next = slots.tryAcquire('x', 'a')!;
    lease.takeBack();
    expect(slots.inUse).toBe(2);
    next.release();
    expect(slots.tryAcquire('x', 'b')).toBeNull();
    lease.release();
    expect(slots.tryAcquire('x', 'b')).not.toBeNull();
  });
});

describe('ExecutionSlots: waiting for a slot', () => {
  it('gives a free slot at once, and leaves no timer', async () => {
    const { slots, clock } = slotsOf();
    await expect(slots.acquire('x', 'a')).resolves.toMatchObject({ name: 'x', userId: 'a' });
    expect(clock.timers).toBe(0);
  });

  it('serves waiters of a pair in the order in which they came, and pairs in turns', async () => {
    const { slots } = slotsOf(1);
    const held = slots.tryAcquire('x', 'z')!;
    const order: string[] = [];
    const waiting = ['a1', 'a2', 'a3', 'b1', 'b2'].map(async (label) => {
      const lease = await slots.acquire('x', label[0]!);
      order.push(label);
      lease.release();
    });
    expect(slots.waiting).toBe(5);
    held.release();
    await Promise.all(waiting);
    expect(order).toEqual(['a1', 'b1', 'a2', 'b2', 'a3']);
  });

  it('does not let a user at the limit hold up the others who wait', async () => {
    const { slots } = slotsOf(2, 1);
    const own = slots.tryAcquire('x', 'a')!;
    const other = slots.tryAcquire('x', 'b')!;
    let isServed = false;
    const blocked = slots.acquire('x', 'a').then((lease) => ((isServed = true), lease));
    const free = slots.acquire('x', 'c');
    other.release();
    await expect(free).resolves.toMatchObject({ userId: 'c' });
    expect(isServed).toBe(false);
    own.release();
    await expect(blocked).resolves.toMatchObject({ userId: 'a' });
  });

  it('gives up after the timeout with an estimate, is counted, and holds nothing', async () => {
    const { slots, clock, timeouts } = slotsOf(1, 10, 1000);
    for (let times = 0; times < 20; times += 1) {
      const lease = slots.tryAcquire('x', null)!;
      clock.advance(250);
      lease.release();
    }
    const held = slots.tryAcquire('x', 'a')!;
    const waiting = slots.acquire('x', 'b').catch((error: unknown) => error);
    await clock.run(999);
    expect(timeouts()).toBe(0);
    await clock.run(1);
    const error = await waiting;
    expect(SlotTimeoutError.is(error)).toBe(true);
    // None has come free for 1000 ms: so the pace of 250 ms before that is no longer one.
    expect(error).toMatchObject({ timeoutMs: 1000, retryAfterMs: 1000 });
    expect({ timeouts: timeouts(), waiting: slots.waiting, timers: clock.timers }).toEqual({ timeouts: 1, waiting: 0, timers: 0 });
    held.release();
    expect(slots.inUse).toBe(0);
  });

  it('forgets a waiter whose signal aborts; that is no timeout', async () => {
    const { slots, clock, timeouts } = slotsOf(1);
    const held = slots.tryAcquire('x', 'a')!;
    const abort = new AbortController();
    const waiting = slots.acquire('x', 'b', abort.signal);
    abort.abort(new Error('client is gone'));
    await expect(waiting).rejects.toThrow('client is gone');
    await expect(slots.acquire('x', 'b', abort.signal)).rejects.toThrow('client is gone');
    held.release();
    expect([slots.inUse, slots.waiting, timeouts(), clock.timers]).toEqual([0, 0, 0, 0]);
  });

  it('gives the slot that came free in the very moment of the timeout to exactly one', async () => {
    const { slots, clock, timeouts } = slotsOf(1, 10, 1000);
    const held = slots.tryAcquire('x', 'a')!;
    const waiting = slots.acquire('x', 'b');
    held.release(); // granted, but its owner did not run yet
    clock.advance(1000);
    await expect(waiting).resolves.toMatchObject({ userId: 'b' });
    expect({ timeouts: timeouts(), inUse: slots.inUse }).toEqual({ timeouts: 0, inUse: 1 });
  });

  it('takes turns with the queue while both want slots: neither starves', async () => {
    const { queue, slots } = queueOf({ global: 1 });
    const held = queue.reserve('work', 'z')!;
    const order: string[] = [];
    for (let number = 1; number <= 4; number += 1) queue.offer(workItem(number, { userId: 'queued' }));
    queue.onWork(() => {
      for (const work of queue.claim(10)) {
        order.push('queue');
        setImmediate(() => work.slot.release());
      }
    });
    const waiting = Array.from({ length: 4 }, async () => {
      const lease = await slots.acquire('work', 'waiter');
      order.push('waiter');
      setImmediate(() => lease.release());
    });
    held.release();
    await Promise.all(waiting);
    for (let turn = 0; turn < 12; turn += 1) await settle();
    expect(order.join(' ')).toMatch(/^(waiter queue ){3,4}(waiter|queue)/);
    expect(order).toHaveLength(8);
    expect(slots.inUse).toBe(0);
  });

  it('gives waiters what the queue leaves: no slot stays empty while somebody waits', async () => {
    const { queue, slots } = queueOf({ global: 3, perUser: 1 });
    const held = ['a', 'b', 'c'].map((user) => queue.reserve('work', user)!);
    const waiting = slots.acquire('work', 'a');
    const second = slots.acquire('work', 'b');
    queue.offer(workItem(1, { userId: 'd' }));
    queue.offer(workItem(2, { userId: 'e' }));
    held[0]!.release(); // the waiter's turn
    await expect(waiting).resolves.toMatchObject({ userId: 'a' });
    held[1]!.release(); // the queue's turn; it claims later, from a microtask
    expect(queue.claim(10)).toHaveLength(1);
    held[2]!.release();
    await expect(second).resolves.toMatchObject({ userId: 'b' });
    expect(queue.claim(10)).toEqual([]);
    expect(slots.inUse).toBe(3);
  });

  it('serves a waiter right after the claim that it had to let pass', async () => {
    const { queue, slots } = queueOf({ global: 3, perUser: 1 });
    const [first, second] = ['a', 'b'].map((user) => queue.reserve('work', user)!);
    const waiting = [slots.acquire('work', 'a'), slots.acquire('work', 'b')];
    first!.release();
    await waiting[0];
    queue.offer(workItem(1, { userId: 'd' }));
    second!.release(); // room for both now, but it is the queue's turn
    expect(slots.waiting).toBe(1);
    expect(queue.claim(10)).toHaveLength(1);
    expect(slots.waiting).toBe(0);
    await expect(waiting[1]).resolves.toMatchObject({ userId: 'b' });
  });
});
