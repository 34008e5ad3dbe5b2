import { describe, expect, it } from '@jest/globals';
import { taskId } from '../../../lib/contracts/ids.js';
import type { ClaimedWork, WorkItem } from '../../../lib/engines/local/queue/work-source.interface.js';
import type { FairQueue } from '../../../lib/engines/local/queue/fair-queue.js';
import { idOfTask, queueOf, workItem } from '../../support/doubles/work-items.js';

const numbersOf = (work: readonly { taskId: string }[]): number[] => work.map(({ taskId: id }) => parseInt(id.slice(-12), 16));
/** Claims one, ends it, claims the next: the order in which a single slot would be used. */
function drain(queue: FairQueue, most = Infinity): ClaimedWork[] {
  const order: ClaimedWork[] = [];
  for (let [work] = queue.claim(1); work !== undefined && order.length < most; [work] = queue.claim(1)) {
    order.push(work);
    work.slot.release();
  }
  return order;
}
const offerAll = (queue: FairQueue, items: readonly Partial<WorkItem>[]): void =>
  items.forEach((item, at) => queue.offer(workItem(at + 1, item)));

describe('FairQueue: order', () => {
  it('gives the users turns, however much one of them has waiting', () => {
    const { queue } = queueOf();
    for (let number = 1; number <= 100_000; number += 1) queue.offer(workItem(number, { userId: 'heavy' }));
    for (let number = 0; number < 1000; number += 1) queue.offer(workItem(200_000 + number, { userId: `light-${number % 100}` }));
    // 100 users with 10 each are through within 10 rounds, of which the heavy one has one turn each.
    const first = drain(queue, 1010);
    expect(first.filter(({ userId }) => userId !== 'heavy')).toHaveLength(1000);
    expect(first.filter(({ userId }) => userId === 'heavy')).toHaveLength(10);
  });

  it('goes round by (user, handler) pair, first come first served within a pair', () => {
    const { queue } = queueOf({ names: ['x', 'y'] });
    offerAll(queue, [
      { userId: 'a', name: 'x' },
      { userId: 'a', name: 'x' },
      { userId: 'a', name: 'y' },
      { userId: 'b', name: 'x' },
      { userId: 'b', name: 'x' },
      { userId: 'a', name: 'y' },
    ]);
    expect(numbersOf(drain(queue))).toEqual([1, 3, 4, 2, 6, 5]);
  });

  it('takes the lower priority first within a user, across handlers, and the older of equals', () => {
    const { queue } = queueOf({ names: ['x', 'y'] });
    offerAll(queue, [
      { userId: 'a', name: 'x', priority: 5 },
      { userId: 'a', name: 'x', priority: 1 },
      { userId: 'a', name: 'y', priority: 0 },
      { userId: 'a', name: 'x', priority: 1 },
      { userId: 'a', name: 'y', priority: 7 },
      { userId: 'a', name: 'x', priority: -3 },
    ]);
    expect(numbersOf(drain(queue))).toEqual([6, 3, 2, 4, 1, 5]);
  });

  it('does not let a low number overtake another user', () => {
    const { queue } = queueOf();
    offerAll(queue, [{ userId: 'a' }, { userId: 'a' }, { userId: 'b', priority: -100 }, { userId: 'b', priority: -100 }]);
    expect(numbersOf(drain(queue))).toEqual([1, 3, 2, 4]);
  });

  it('has all tasks without a user share one lane', () => {
    const { queue } = queueOf({ perUser: 1 });
    offerAll(queue, [{}, {}, {}, { userId: 'a' }, { userId: 'a' }]);
    const claimed = queue.claim(10);
    expect(numbersOf(claimed)).toEqual([1, 4, 2, 3]); // no limit per user for them, but one turn in each round
  });

  it('keeps order however tasks arrive: out of order, in several streams, with many priorities', () => {
    const { queue } = queueOf();
    const orders = Array.from({ length: 2000 }, (_, at) => (at * 7919) % 2000);
    orders.forEach((order, at) => queue.offer(workItem(at, { order, priority: order % 37 })));
    const expected = orders.map((order, at) => ({ order, at })).sort((a, b) => (a.order % 37) - (b.order % 37) || a.order - b.order);
    expect(numbersOf(drain(queue))).toEqual(expected.map(({ at }) => at));
  });
});

describe('FairQueue: limits', () => {
  it('never runs more than the global limit, the user limit or the handler limit', () => {
    const { queue, slots } = queueOf({ global: 4, perUser: 2, names: ['x', 'y'], handlerLimits: { y: 1 } });
    offerAll(queue, [
      ...Array.from({ length: 5 }, () => ({ userId: 'a', name: 'x' })),
      ...Array.from({ length: 5 }, () => ({ userId: 'b', name: 'y' })),
      ...Array.from({ length: 5 }, () => ({ userId: 'c', name: 'x' })),
    ]);
    expect(numbersOf(queue.claim(100))).toEqual([1, 6, 11, 2]);
    expect(slots.inUse).toBe(4);
    expect(queue.claim(100)).toEqual([]);
  });

  it('fills the slot of a pair at its limit as soon as one of its runs ends, and says so', () => {
    const { queue } = queueOf({ global: 10, perUser: 1 });
    let told = 0;
    queue.onWork(() => (told += 1));
    offerAll(queue, [{ userId: 'a' }, { userId: 'a' }, { userId: 'b' }]);
    const [first, second] = queue.claim(10);
    expect(queue.claim(10)).toEqual([]);
    told = 0;
    second!.slot.release();
    expect({ told, claimed: queue.claim(10) }).toEqual({ told: 0, claimed: [] }); // b has nothing more
    first!.slot.release();
    expect(told).toBe(1);
    expect(numbersOf(queue.claim(10))).toEqual([2]);
  });

  it('says that there is work when a limit of a handler is lifted', () => {
    const { queue, slots } = queueOf({ handlerLimits: { work: 1 } });
    offerAll(queue, [{ userId: 'a' }, { userId: 'b' }, { userId: 'c' }]);
    expect(queue.claim(10)).toHaveLength(1);
    let told = 0;
    queue.onWork(() => (told += 1));
    slots.limitHandler('work', 2);
    expect(told).toBe(1);
    expect(queue.claim(10)).toHaveLength(1);
    slots.limitHandler('work', undefined);
    expect(queue.claim(10)).toHaveLength(1);
  });

  it('gives users turns at a handler that runs one at a time', () => {
    const { queue } = queueOf({ handlerLimits: { work: 1 } });
    offerAll(queue, [{ userId: 'a' }, { userId: 'a' }, { userId: 'a' }, { userId: 'b' }, { userId: 'c' }, { userId: 'b' }]);
    expect(numbersOf(drain(queue))).toEqual([1, 4, 5, 2, 6, 3]);
  });

  it('counts a slot that is released twice only once', () => {
    const { queue, slots } = queueOf({ global: 2 });
    offerAll(queue, [{ userId: 'a' }, { userId: 'b' }]);
    const [work] = queue.claim(2);
    work!.slot.release();
    work!.slot.release();
    expect(slots.inUse).toBe(1);
  });
});

describe('FairQueue: recovery', () => {
  it('runs as many recovering tasks as allowed, more when one has recovered, and lets other tasks pass', () => {
    const { queue } = queueOf({ recoveries: 2 });
    let told = 0;
    offerAll(queue, [...Array.from({ length: 4 }, () => ({ userId: 'a', recovering: true })), { userId: 'a' }]);
    const claimed = queue.claim(10);
    expect(numbersOf(claimed).sort((a, b) => a - b)).toEqual([1, 2, 5]);
    queue.onWork(() => (told += 1));
    claimed.find(({ taskId: id }) => id === idOfTask(1))!.slot.recovered();
    expect(told).toBe(1);
    expect(numbersOf(queue.claim(10))).toEqual([3]);
    claimed.find(({ taskId: id }) => id === idOfTask(1))!.slot.release(); // it counts no more
    expect(queue.claim(10)).toEqual([]);
    claimed.find(({ taskId: id }) => id === idOfTask(2))!.slot.release();
    expect(numbersOf(queue.claim(10))).toEqual([4]);
  });

  it('runs suspects one at a time to the end of their run, also past their recovery', () => {
    const { queue } = queueOf();
    offerAll(queue, [
      { userId: 'a', recovering: true, suspect: true },
      { userId: 'b', recovering: true, suspect: true },
      { userId: 'c', recovering: true },
    ]);
    const claimed = queue.claim(10);
    expect(numbersOf(claimed)).toEqual([1, 3]);
    claimed[0]!.slot.recovered();
    expect(queue.claim(10)).toEqual([]);
    claimed[0]!.slot.release();
    expect(numbersOf(queue.claim(10))).toEqual([2]);
  });
});

describe('FairQueue: time', () => {
  it('holds a task until its runAt by the wall clock, also over a jump of it', () => {
    const { queue, clock } = queueOf();
    queue.offer(workItem(1, { runAt: clock.now() + 3_600_000 }));
    expect(queue.size).toEqual({ queued: 0, delayed: 1, parked: 0 });
    clock.advance(3_599_999);
    queue.tick();
    expect(queue.claim(1)).toEqual([]);
    clock.jump(1);
    let told = 0;
    queue.onWork(() => (told += 1));
    queue.tick();
    expect(told).toBe(1);
    expect(numbersOf(queue.claim(1))).toEqual([1]);
    expect(clock.timers).toBe(0); // compared at each tick, never a long timer
  });

  it('holds a task until its backoff is over by the monotonic clock, whatever the wall clock says', () => {
    const { queue, clock } = queueOf();
    queue.offer(workItem(1, { notBefore: clock.monotonic() + 500, runAt: clock.now() + 100 }));
    clock.jump(1_000_000);
    queue.tick();
    expect(queue.size.delayed).toBe(1);
    clock.advance(500);
    queue.tick();
    expect(numbersOf(queue.claim(1))).toEqual([1]);
  });

  it('has no timer and no promise of its own, and lets many alarms in over several ticks', () => {
    const { queue, clock } = queueOf();
    for (let number = 0; number < 25_000; number += 1) queue.offer(workItem(number, { runAt: clock.now() + 10 }));
    clock.advance(10);
    queue.tick();
    expect(queue.size.queued).toBe(10_000);
    queue.tick();
    queue.tick();
    expect(queue.size).toEqual({ queued: 25_000, delayed: 0, parked: 0 });
  });
});

describe('FairQueue: names without a handler', () => {
  it('parks their tasks, holds nobody else up, and runs them in their order once the name is defined', () => {
    const { queue } = queueOf();
    offerAll(queue, [{ name: 'later', userId: 'a' }, { name: 'later', userId: 'b' }, { userId: 'a' }, { name: 'later', userId: 'a' }]);
    expect(queue.size).toEqual({ queued: 1, delayed: 0, parked: 3 });
    expect(numbersOf(drain(queue))).toEqual([3]);
    let told = 0;
    queue.onWork(() => (told += 1));
    queue.define('later');
    queue.define('later');
    expect({ told, size: queue.size }).toEqual({ told: 1, size: { queued: 3, delayed: 0, parked: 0 } });
    expect(numbersOf(drain(queue))).toEqual([1, 2, 4]);
  });

  it('lets a parked task be cancelled', () => {
    const { queue } = queueOf();
    queue.offer(workItem(1, { name: 'later' }));
    expect([queue.withdraw(idOfTask(1)), queue.withdraw(idOfTask(1))]).toEqual([true, false]);
    expect(queue.size.parked).toBe(0);
  });
});

describe('FairQueue: in and out', () => {
  it('withdraws from anywhere, and a claimed task does not wait here', () => {
    const { queue, clock } = queueOf({ global: 1 });
    offerAll(queue, [{}, {}, {}, { runAt: clock.now() + 50 }, { notBefore: clock.monotonic() + 50 }]);
    const [work] = queue.claim(1);
    expect([1, 3, 4, 5, 9].map((number) => queue.withdraw(idOfTask(number)))).toEqual([false, true, true, true, false]);
    work!.slot.release();
    clock.advance(100);
    queue.tick();
    expect(numbersOf(drain(queue))).toEqual([2]);
  });

  it('puts a claimed task back at the head of its lane, before or right after its slot is released', () => {
    const { queue, clock } = queueOf({ global: 1 });
    offerAll(queue, [{ userId: 'a' }, { userId: 'a' }]);
    const [first] = queue.claim(1);
    queue.putBack(first!.taskId, 0);
    first!.slot.release();
    const [again] = queue.claim(1);
    expect(again!.taskId).toBe(first!.taskId);
    again!.slot.release();
    queue.putBack(again!.taskId, clock.monotonic() + 1000);
    expect(numbersOf(drain(queue))).toEqual([2]);
    clock.advance(1000);
    queue.tick();
    expect(numbersOf(drain(queue))).toEqual([1]);
    expect(() => queue.putBack(idOfTask(77), 0)).toThrow('not claimed');
  });

  it.each([false, true])('has no way back for a claim whose task was offered anew since (and then cancelled: %s)', (isWithdrawn) => {
    const { queue, slots } = queueOf();
    queue.offer(workItem(1));
    const [claim] = queue.claim(1);
    queue.offer(workItem(1, { order: 5 }));
    if (isWithdrawn) queue.withdraw(claim!.taskId);
    queue.putBack(claim!.taskId, 0);
    claim!.slot.release();
    const left = drain(queue);
    expect(numbersOf(left)).toEqual(isWithdrawn ? [] : [1]);
    expect(slots.inUse).toBe(0);
  });

  it('keeps the second of two claims of one task apart from the first', () => {
    const { queue, slots } = queueOf();
    queue.offer(workItem(1));
    const [first] = queue.claim(1);
    queue.offer(workItem(1));
    const [second] = queue.claim(1);
    first!.slot.release();
    queue.putBack(second!.taskId, 0);
    second!.slot.release();
    expect(numbersOf(drain(queue))).toEqual([1]);
    expect(slots.inUse).toBe(0);
  });

  it('has one entry for a task that is offered twice: the newer one', () => {
    const { queue } = queueOf();
    queue.offer(workItem(1, { userId: 'a' }));
    queue.offer(workItem(1, { userId: 'a', priority: 9 }));
    queue.offer(workItem(2, { userId: 'a' }));
    expect(queue.size.queued).toBe(2);
    expect(numbersOf(drain(queue))).toEqual([2, 1]);
  });

  it('runs a task again that is offered while its last run still holds its slot', () => {
    const { queue, slots } = queueOf();
    queue.offer(workItem(1));
    const [run] = queue.claim(1);
    queue.offer(workItem(1, { order: 5 }));
    run!.slot.release();
    expect(numbersOf(queue.claim(5))).toEqual([1]);
    expect(slots.inUse).toBe(1);
  });

  it('refuses loudly an id that it could not give back', () => {
    const { queue } = queueOf();
    for (const id of ['', 'task-1', idOfTask(1).toUpperCase(), `${idOfTask(1)}0`, idOfTask(1).replace('-', '0')]) {
      expect(() => queue.offer(workItem(1, { taskId: taskId(id) }))).toThrow(TypeError);
    }
    expect(queue.size.queued).toBe(0);
  });

  it('knows what waits, what has to wait longer, and what was claimed until its slot is released', () => {
    const { queue, clock } = queueOf();
    offerAll(queue, [{}, { notBefore: clock.monotonic() + 1000 }]);
    const known = (): boolean[] => [1, 2, 3].map((n) => queue.knows(idOfTask(n)));
    expect(known()).toEqual([true, true, false]);
    const [work] = queue.claim(1);
    expect(known()).toEqual([true, true, false]);
    work!.slot.release();
    queue.withdraw(idOfTask(2));
    expect(known()).toEqual([false, false, false]);
  });

  it('gives every id back as it came', () => {
    const { queue } = queueOf({ perUser: 10 });
    const ids = [
      '00000000-0000-0000-0000-000000000000',
      'ffffffff-ffff-ffff-ffff-ffffffffffff',
      '0198f0e1-d2c3-7b4a-9586-7867564534ab',
    ].map(taskId);
    ids.forEach((id, at) => queue.offer(workItem(at, { taskId: id })));
    expect(queue.claim(3).map((work) => work.taskId)).toEqual(ids);
  });

  it('says where a waiting task can be read, until it was claimed: put back, it is asked for by its id', () => {
    const { queue } = queueOf();
    const created = { segment: 2 ** 40 + 1, offset: 4_000_000_000, length: 300 };
    queue.offer(workItem(1, { created }));
    queue.offer(workItem(2));
    queue.offer(workItem(3, { created: { ...created, offset: 2 ** 33 } })); // more than is kept of it
    expect([1, 2, 3, 4].map((number) => queue.createdOf(idOfTask(number)))).toEqual([created, undefined, undefined, undefined]);
    const [claimed] = queue.claim(1);
    expect(queue.createdOf(claimed!.taskId)).toBeUndefined();
    queue.putBack(claimed!.taskId, 0);
    expect(queue.createdOf(claimed!.taskId)).toBeUndefined();
  });

  it('names the tasks that come next, those of pairs at a limit too', () => {
    const { queue } = queueOf({ global: 3, perUser: 1 });
    offerAll(queue, [{ userId: 'a' }, { userId: 'a' }, { userId: 'b' }, { userId: 'a' }, { name: 'later' }]);
    expect(numbersOf(queue.peek(2).map((id) => ({ taskId: id })))).toEqual([1, 3]);
    expect(numbersOf(queue.peek(10).map((id) => ({ taskId: id })))).toEqual([1, 3, 2, 4]);
    queue.claim(2);
    queue.claim(2);
    expect(numbersOf(queue.peek(10).map((id) => ({ taskId: id })))).toEqual([2, 4]);
    expect(queue.size.queued).toBe(2);
  });
});

describe('FairQueue: a task that is submitted now', () => {
  it('gets a free slot at once when nobody waits for it', () => {
    const { queue, slots } = queueOf({ global: 1 });
    const lease = queue.reserve('work', 'a');
    expect(lease).toMatchObject({ name: 'work', userId: 'a' });
    expect(queue.reserve('work', 'b')).toBeNull();
    lease!.recovered();
    lease!.release();
    expect(slots.inUse).toBe(0);
  });

  it('does not overtake what waits runnable', () => {
    const { queue } = queueOf();
    queue.offer(workItem(1, { userId: 'a' }));
    expect(queue.reserve('work', 'b')).toBeNull();
    queue.claim(1);
    expect(queue.reserve('work', 'b')).not.toBeNull();
  });

  it('is not held up by what cannot run: at a limit, parked, or not due', () => {
    const { queue, clock } = queueOf({ perUser: 1 });
    offerAll(queue, [{ userId: 'a' }, { userId: 'a' }, { name: 'later' }, { runAt: clock.now() + 10 }]);
    queue.claim(1);
    expect(queue.reserve('work', 'a')).toBeNull();
    expect(queue.reserve('work', 'b')).not.toBeNull();
  });
});
