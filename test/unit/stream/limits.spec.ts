import { describe, expect, it } from '@jest/globals';
import { SubscriberLimitError } from '../../../lib/errors/stream.errors.js';
import { EntryRing } from '../../../lib/stream/entry-ring.js';
import { SubscriberQuota } from '../../../lib/stream/subscriber-quota.js';
import { ShapedEntry } from '../../../lib/stream/shaped-entry.js';
import { taskId } from '../../../lib/contracts/ids.js';
import { seededRandom, settle } from '../../support/clock/fake-clock.js';
import { SEED } from '../../support/clock/seed.js';
import { numbers, seqs, StreamHouse, type Watched } from './stream-house.js';

describe('Subscriber limits', () => {
  it.each([
    ['task', { maxSubscribersPerTask: 2 }],
    ['user', { maxSubscribersPerUser: 2 }],
    ['global', { maxSubscribers: 2 }],
  ] as const)('refuse one more per %s, say so, and take one again when one has left', async (limit, options) => {
    const house = new StreamHouse(options);
    for (const id of ['a', 'b', 'c', 'd']) house.facts.create(id);
    const task = (index: number): string => (limit === 'task' ? 'a' : 'abcd'[index]!);
    const watch = (index: number): Watched<unknown> => house.watch(task(index), { userId: 'alice' });
    const [first] = [watch(0), watch(1)];
    await settle();
    const refused = watch(2);
    await settle();
    expect(refused.error).toBeInstanceOf(SubscriberLimitError);
    expect(refused.error).toMatchObject({ limit, retryAfterMs: expect.any(Number) });
    if (limit !== 'global') {
      const elsewhere = house.watch('d', { userId: 'bob' });
      await settle();
      expect(elsewhere.error).toBeUndefined();
    }
    first!.leave();
    first!.leave();
    const next = watch(2);
    await settle();
    expect(next.error).toBeUndefined();
    expect(house.streams.stats().subscribers).toBe(limit === 'global' ? 2 : 3);
  });

  it('count exactly, whatever comes and goes', async () => {
    const seed = SEED;
    const random = seededRandom(seed);
    const house = new StreamHouse();
    const tasks = numbers(1, 5).map((index) => house.facts.create(`task-${index}`).id as string);
    const open: Watched<unknown>[] = [];
    for (let step = 0; step < 400; step += 1) {
      const id = tasks[Math.floor(random() * tasks.length)]!;
      const chance = random();
      if (chance < 0.4) open.push(house.watch(id, { userId: random() < 0.5 ? 'alice' : null }));
      else if (chance < 0.7) open.splice(Math.floor(random() * open.length), 1)[0]?.leave();
      else if (chance < 0.8) house.facts.isDown = !house.facts.isDown;
      else house.facts.progress(id, 3);
      if (random() < 0.3) await settle();
    }
    house.facts.isDown = false;
    await house.clock.run(5_000);
    const alive = open.filter(({ error }) => error === undefined);
    expect({ seed, subscribers: house.streams.stats().subscribers }).toEqual({ seed, subscribers: alive.length });
    for (const watched of alive) watched.leave();
    expect({ seed, ...house.streams.stats() }).toEqual({ seed, active: 0, subscribers: 0 });
    await house.clock.run(60_000);
    expect({ seed, timers: house.clock.timers }).toEqual({ seed, timers: 0 });
  });

  it('are shown as a gauge of the tasks that are listened to', async () => {
    const house = new StreamHouse();
    house.facts.create();
    house.watch('task-1');
    house.watch('task-1');
    await settle();
    expect(house.telemetry.gauges.get('taskflow.streams.active')!()).toBe(1);
  });
});

describe('A lease', () => {
  it('given back twice is given back once', () => {
    const quota = new SubscriberQuota({ maxSubscribersPerTask: 2, maxSubscribersPerUser: 2, maxSubscribers: 2 });
    const [first] = [quota.take('a', 'alice'), quota.take('a', 'alice')];
    first!.release();
    first!.release();
    expect([quota.total, quota.tasks]).toEqual([1, 1]);
  });
});

describe('What is kept in memory', () => {
  it('is kept for a while after the last subscriber has left, and then no longer', async () => {
    const house = new StreamHouse({ streamRetentionMs: 1_000 });
    house.facts.create();
    const first = house.watch('task-1');
    await settle();
    house.facts.progress('task-1', 3);
    first.leave();
    house.facts.progress('task-1', 3);
    house.facts.reads.length = 0;
    house.clock.advance(999);
    const second = house.watch('task-1', { lastSeq: 1 });
    await settle();
    expect([seqs(second), house.facts.reads]).toEqual([numbers(2, 7), []]);
    second.leave();
    house.clock.advance(1_000);
    expect(house.clock.timers).toBe(0);
    house.watch('task-1', { lastSeq: 1 });
    await settle();
    expect(house.facts.reads).toEqual([1]);
  });

  it('is bounded in tasks too: the one idle for longest goes first', async () => {
    const house = new StreamHouse({ maxSubscribers: 3 });
    for (const index of numbers(1, 10)) {
      house.facts.create(`task-${index}`);
      const watched = house.watch(`task-${index}`);
      await settle();
      house.facts.progress(`task-${index}`, 1);
      watched.leave();
    }
    house.facts.reads.length = 0;
    // What a channel kept needs no reading.
    for (const index of [10, 9, 8, 7]) {
      const again = house.watch(`task-${index}`, { lastSeq: 1 });
      await settle();
      again.leave();
      expect([index, house.facts.reads.length]).toEqual([index, index === 7 ? 1 : 0]);
    }
  });

  it('is bounded in entries and in weight', () => {
    const ring = new EntryRing(10, 5_000);
    const identity = { id: taskId('t'), name: 'n', key: null, userId: null, exposesErrors: false };
    const entry = (seq: number, size: number): ShapedEntry =>
      new ShapedEntry(identity, { taskSeq: seq, type: 'progress', at: 0, attempt: 1, fence: 1, body: 'x'.repeat(size) });
    const held = (): number[] => numbers(1, 200).filter((seq) => ring.get(seq) !== undefined);
    for (const seq of numbers(1, 50)) ring.push(seq, entry(seq, 10));
    expect(held()).toEqual(numbers(41, 50));
    for (const seq of numbers(51, 60)) ring.push(seq, entry(seq, 1_000));
    expect(held()).toEqual(numbers(57, 60));
    ring.push(61, entry(61, 100_000));
    expect(held()).toEqual([61]);
    ring.push(100, entry(100, 1)); // a hole: nothing before it may be served as if it led here
    expect(held()).toEqual([100]);
  });
});
