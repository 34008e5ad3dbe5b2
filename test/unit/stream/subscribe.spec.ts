import { describe, expect, it } from '@jest/globals';
import { config } from 'rxjs';
import type { TaskEvent } from '../../../lib/contracts/task-event.interface.js';
import { NotFoundError, ValidationError } from '../../../lib/errors/request.errors.js';
import { RepositoryError } from '../../../lib/errors/storage.errors.js';
import { StreamOverflowError } from '../../../lib/errors/stream.errors.js';
import { settle } from '../../support/clock/fake-clock.js';
import { numbers, seqs, StreamHouse, types } from './stream-house.js';

const collect = async (events: AsyncIterable<TaskEvent>): Promise<TaskEvent[]> => {
  const all: TaskEvent[] = [];
  for await (const event of events) all.push(event);
  return all;
};

describe('A subscriber', () => {
  it('gets what was and what comes, once each and in order, and the stream ends with the task', async () => {
    const house = new StreamHouse();
    house.facts.create();
    house.facts.commit('task-1', ['start']);
    const watched = house.watch('task-1');
    await settle();
    house.facts.progress('task-1', 1);
    house.facts.commit('task-1', ['complete', { result: { sent: true } }]);
    expect(types(watched)).toEqual(['created', 'start', 'progress', 'complete']);
    expect(seqs(watched)).toEqual([1, 2, 3, 4]);
    expect(watched.values[3]).toMatchObject({ id: 'task-1:4', taskId: 'task-1', name: 'import', payload: { result: { sent: true } } });
    expect(watched.isComplete).toBe(true);
    expect(JSON.stringify(watched.values)).not.toContain('secret');
  });

  it('resumes after every position with exactly the events behind it, from memory and from history alike', async () => {
    const house = new StreamHouse({ streamBufferSize: 8 });
    house.facts.create();
    const first = house.watch('task-1'); // opens the channel, so that the ring fills
    await settle();
    house.facts.commit('task-1', ['start']);
    house.facts.progress('task-1', 20);
    house.facts.commit('task-1', ['complete', { result: 'done' }]);
    await settle();
    expect(seqs(first)).toEqual(numbers(1, 23));
    const whole = first.values;
    for (let lastSeq = 0; lastSeq <= 23; lastSeq += 1) {
      const fromRing = house.watch('task-1', { lastSeq });
      const fromHistory = new StreamHouse({}, house.facts).watch('task-1', { lastSeq });
      const iterated = await collect(house.open('task-1', { lastSeq }));
      await settle();
      expect(seqs(fromRing)).toEqual(numbers(lastSeq + 1, 23));
      expect(fromRing.values).toEqual(whole.slice(lastSeq));
      expect(fromHistory.values).toEqual(whole.slice(lastSeq));
      expect(iterated).toEqual(whole.slice(lastSeq));
      expect(fromRing.isComplete).toBe(true);
    }
    expect(house.facts.reads.length).toBeGreaterThan(0);
  });

  it('sees no event before it is committed, and a whole frame at once', async () => {
    const house = new StreamHouse();
    house.facts.create();
    const watched = house.watch('task-1');
    await settle();
    expect(seqs(watched)).toEqual([1]);
    house.facts.commit('task-1', ['start'], ['progress', { payload: 1 }], ['progress', { payload: 2 }]);
    expect(seqs(watched)).toEqual([1, 2, 3, 4]); // synchronously
    expect(watched.isComplete).toBe(false);
  });

  it('misses nothing that is committed while the task is looked up', async () => {
    const house = new StreamHouse();
    const stale = house.facts.create();
    const stream = house.streams.open(
      async () => {
        house.facts.commit('task-1', ['start'], ['complete', { result: 1 }]); // after the state was read, before the channel listens
        return stale;
      },
      { userId: null, lastSeq: 0 },
    );
    expect((await collect(stream)).map((event) => event.seq)).toEqual([1, 2, 3]);
  });

  it('misses nothing that is committed while the channel makes sure of the head, and doubles nothing that it hears of late', async () => {
    const house = new StreamHouse({ streamBufferSize: 1 });
    house.facts.create();
    house.facts.onLoad = () => {
      house.facts.onLoad = undefined;
      house.facts.commit('task-1', ['start'], ['progress', { payload: 1 }]); // the answer is older than the facts
    };
    const overtaken = house.watch('task-1');
    await settle();
    expect(seqs(overtaken)).toEqual([1, 2, 3]);
    house.facts.isHeldBack = true;
    house.facts.create('task-2');
    house.facts.commit('task-2', ['error', { error: { name: 'Error', message: 'no', retryable: false } }]);
    house.facts.commit('task-2', ['retry', { reason: 'manual' }]);
    const early = house.watch('task-2'); // the answer is newer than the facts
    await settle();
    house.facts.isHeldBack = false;
    house.facts.tell();
    house.facts.progress('task-2', 1);
    expect([seqs(early), early.isComplete]).toEqual([numbers(1, 4), false]);
  });

  it('misses nothing that is committed while history is read', async () => {
    const house = new StreamHouse({ streamBufferSize: 2 });
    house.facts.create();
    house.facts.progress('task-1', 250);
    let commits = 0;
    house.facts.onRead = () => {
      commits += 1;
      house.facts.progress('task-1', 3);
    };
    const watched = house.watch('task-1');
    await settle();
    house.facts.onRead = undefined;
    await house.clock.run(5000);
    house.facts.commit('task-1', ['cancelled']);
    await settle();
    expect(commits).toBeGreaterThan(1);
    expect(seqs(watched)).toEqual(numbers(1, 252 + 3 * commits));
    expect(watched.isComplete).toBe(true);
  });

  it('replays 10,000 events with no gap and no double, also while more are committed', async () => {
    const house = new StreamHouse();
    house.facts.create();
    house.facts.progress('task-1', 9_000);
    const watched = house.watch('task-1');
    const iterated = collect(house.open('task-1'));
    for (let round = 0; round < 10; round += 1) {
      await Promise.resolve();
      house.facts.progress('task-1', 100);
    }
    house.facts.commit('task-1', ['complete', { result: null }]);
    await house.clock.run(1000);
    expect(seqs(watched)).toEqual(numbers(1, 10_002));
    expect((await iterated).map((event) => event.seq)).toEqual(numbers(1, 10_002));
  });

  it('that is slow reads again what the ring has lost, and holds one page at most', async () => {
    const house = new StreamHouse({ streamBufferSize: 4 });
    house.facts.create();
    const iterator = house.open('task-1')[Symbol.asyncIterator]();
    expect((await iterator.next()).value.seq).toBe(1);
    house.facts.progress('task-1', 1_000); // nobody waits for it
    house.facts.commit('task-1', ['complete', { result: 1 }]);
    house.facts.reads.length = 0;
    for (let seq = 2; seq <= 101; seq += 1) expect((await iterator.next()).value.seq).toBe(seq);
    expect(house.facts.reads).toEqual([1]); // one page of a hundred, not the thousand
    for (let seq = 102; seq <= 1_002; seq += 1) expect((await iterator.next()).value.seq).toBe(seq);
    expect((await iterator.next()).done).toBe(true);
  });

  it('holds a bounded weight of large events, whatever their number', async () => {
    const house = new StreamHouse();
    house.facts.create();
    house.facts.progress('task-1', 100, 'x'.repeat(64 * 1024));
    const iterator = house.open('task-1')[Symbol.asyncIterator]();
    for (let seq = 1; seq <= 101; seq += 1) expect((await iterator.next()).value.seq).toBe(seq);
    expect(house.facts.reads.length).toBeGreaterThan(20); // about 256 KiB at a time
    await iterator.return?.();
  });

  it('gets one shared event object with all others', async () => {
    const house = new StreamHouse();
    house.facts.create();
    const [one, two] = [house.watch('task-1'), house.watch('task-1')];
    await settle();
    house.facts.progress('task-1', 3);
    expect(one.values.slice(1)).toHaveLength(3);
    one.values.forEach((event, index) => expect(two.values[index]).toBe(event)); // the replay was one read as well
    expect(Object.isFrozen(one.values[1])).toBe(true);
  });

  it('asks again when nobody has the next event though the head is beyond, with a growing pause', async () => {
    const house = new StreamHouse();
    house.facts.create();
    house.facts.progress('task-1', 5);
    house.facts.misses = 6;
    const watched = house.watch('task-1');
    await settle();
    expect(watched.values).toEqual([]);
    await house.clock.run(10);
    expect(house.facts.reads.length).toBe(3); // the first, then at 0 and 10 ms: no hot loop
    await house.clock.run(500);
    expect(house.facts.faults).toBe(6);
    expect(seqs(watched)).toEqual(numbers(1, 6));
  });

  it('waits out a database that goes down, without an error and without a skip', async () => {
    const house = new StreamHouse({ streamBufferSize: 2 });
    house.facts.create();
    house.facts.progress('task-1', 150);
    let reads = 0;
    house.facts.onRead = () => {
      reads += 1;
      if (reads === 2) house.facts.isDown = true;
    };
    const watched = house.watch('task-1');
    await house.clock.run(60_000);
    expect(seqs(watched)).toEqual(numbers(1, 100));
    house.facts.progress('task-1', 3);
    expect(house.facts.faults).toBeGreaterThan(5);
    expect(house.facts.faults).toBeLessThan(100);
    expect(watched.error).toBeUndefined();
    house.facts.isDown = false;
    await house.clock.run(1_000);
    expect(seqs(watched)).toEqual(numbers(1, 154));
  });

  it('is told at once when the database cannot be read at the start', async () => {
    const house = new StreamHouse();
    house.facts.create();
    house.facts.isDown = true;
    const watched = house.watch('task-1');
    await expect(collect(house.open('task-1'))).rejects.toBeInstanceOf(RepositoryError);
    expect(watched.error).toBeInstanceOf(RepositoryError);
    expect(house.facts.faults).toBeGreaterThan(0);
    expect(house.streams.stats()).toEqual({ active: 0, subscribers: 0 });
  });

  it('is told when history starts later', async () => {
    const house = new StreamHouse();
    house.facts.create();
    house.facts.progress('task-1', 10);
    house.facts.firstSeq = 5;
    // The last one misses a single event: the one behind it is the first that can be given.
    for (const lastSeq of [0, 2, 3]) {
      const gone = collect(house.open('task-1', { lastSeq }));
      await expect(gone).rejects.toBeInstanceOf(StreamOverflowError);
      await expect(gone).rejects.toMatchObject({ requestedSeq: lastSeq, firstAvailableSeq: 5 });
    }
    const resumed = house.watch('task-1', { lastSeq: 4 });
    await settle();
    expect(seqs(resumed)).toEqual(numbers(5, 11));
  });

  it('in the middle of a replay learns that the task was pruned', async () => {
    const house = new StreamHouse();
    house.facts.create();
    house.facts.progress('task-1', 150);
    house.facts.commit('task-1', ['complete', { result: 1 }]);
    const iterator = house.open('task-1')[Symbol.asyncIterator]();
    for (let seq = 1; seq <= 100; seq += 1) await iterator.next();
    house.facts.commit('task-1', ['pruned']);
    await expect(iterator.next()).rejects.toBeInstanceOf(NotFoundError);
    expect((await iterator.next()).done).toBe(true);
    expect(house.streams.stats().subscribers).toBe(0);
  });

  it('refuses a position that is no position, or beyond the head of an unfinished task of this home', async () => {
    const house = new StreamHouse();
    house.facts.create();
    for (const lastSeq of [-1, 1.5, Number.NaN, 2 ** 53, 2]) {
      const refused = collect(house.open('task-1', { lastSeq }));
      await expect(refused).rejects.toBeInstanceOf(ValidationError);
      await expect(refused).rejects.toMatchObject({ field: 'lastSeq' });
    }
    expect(house.streams.stats().subscribers).toBe(0);
  });

  it('at or past the head of an ended task completes empty', async () => {
    const house = new StreamHouse();
    house.facts.create();
    house.facts.commit('task-1', ['cancelled']);
    expect(await collect(house.open('task-1', { lastSeq: 2 }))).toEqual([]);
    expect(await collect(house.open('task-1', { lastSeq: 99 }))).toEqual([]);
  });

  it('goes past a terminal event that a retry by hand has followed, also within one frame', async () => {
    const house = new StreamHouse();
    house.facts.create();
    const live = house.watch('task-1');
    await settle();
    const error = { name: 'Error', message: 'no', retryable: false };
    house.facts.commit('task-1', ['start'], ['error', { error }], ['retry', { reason: 'manual', runAt: 0, delayMs: 0 }]);
    expect(live.isComplete).toBe(false);
    house.facts.commit('task-1', ['start'], ['complete', { result: 1 }]);
    expect(live.isComplete).toBe(true);
    const replayed = house.watch('task-1');
    await settle();
    for (const watched of [live, replayed]) {
      expect(types(watched)).toEqual(['created', 'start', 'error', 'retry', 'start', 'complete']);
    }
  });

  it('ends at a terminal event that was the last one when it was delivered', async () => {
    const house = new StreamHouse();
    house.facts.create();
    const iterator = house.open('task-1')[Symbol.asyncIterator]();
    await iterator.next();
    house.facts.commit('task-1', ['error', { error: { name: 'Error', message: 'no', retryable: false } }]);
    expect((await iterator.next()).value.type).toBe('error');
    house.facts.commit('task-1', ['retry', { reason: 'manual' }]);
    expect((await iterator.next()).done).toBe(true);
  });

  it('sees heartbeats live, without a seq, in their place; nobody sees them later', async () => {
    const house = new StreamHouse();
    house.facts.create();
    house.facts.commit('task-1', ['start']);
    const live = house.watch('task-1');
    const quiet = house.watch('task-1', { live: false });
    const iterator = house.open('task-1', { lastSeq: 2 })[Symbol.asyncIterator]();
    const beat = iterator.next();
    await settle();
    house.facts.commit('task-1', ['heartbeat']);
    house.facts.commit('task-1', ['progress', { payload: 1 }]);
    await settle();
    expect(types(live)).toEqual(['created', 'start', 'heartbeat', 'progress']);
    expect(live.values[2]).not.toHaveProperty('seq');
    expect(types(quiet)).toEqual(['created', 'start', 'progress']);
    expect((await beat).value.type).toBe('heartbeat');
    const late = house.watch('task-1');
    await settle();
    expect(types(late)).toEqual(['created', 'start', 'progress']);
    await iterator.return?.();
  });

  it('may leave, join and commit inside next', async () => {
    const house = new StreamHouse();
    house.facts.create();
    const inner: number[] = [];
    const seen: number[] = [];
    let depth = 0;
    let deepest = 0;
    const subscription = house.open('task-1').subscribe((event) => {
      depth += 1;
      deepest = Math.max(deepest, depth);
      seen.push(event.seq!);
      if (event.seq === 2) house.open('task-1', { lastSeq: 1 }).subscribe((other) => inner.push(other.seq!));
      if (event.seq! < 50) house.facts.progress('task-1', 1);
      if (event.seq === 10) subscription.unsubscribe();
      depth -= 1;
    });
    const other = house.watch('task-1');
    await settle();
    expect(seen).toEqual(numbers(1, 10));
    expect(deepest).toBe(1);
    await settle();
    expect(inner).toEqual(numbers(2, 11));
    expect(seqs(other)).toEqual(numbers(1, 11));
    expect(house.streams.stats()).toEqual({ active: 1, subscribers: 2 });
  });

  it('that throws hurts neither the one who commits nor the other subscribers', async () => {
    const house = new StreamHouse();
    house.facts.create();
    const thrown: unknown[] = [];
    config.onUnhandledError = (error) => thrown.push(error);
    house.open('task-1').subscribe(() => {
      throw new Error('consumer');
    });
    const other = house.watch('task-1');
    await settle();
    house.facts.progress('task-1', 1);
    expect(seqs(other)).toEqual([1, 2]);
    await new Promise((resolve) => setTimeout(resolve, 0)); // where rxjs reports it
    config.onUnhandledError = null;
    expect(thrown.length).toBeGreaterThan(0);
  });

  it('is told when an entry cannot be shown, and the one who commits is not', async () => {
    const house = new StreamHouse();
    house.facts.create();
    const watched = house.watch('task-1');
    await settle();
    house.facts.encode = () => '{"payload":';
    expect(() => house.facts.progress('task-1', 1)).not.toThrow();
    expect(watched.error).toBeInstanceOf(SyntaxError);
    expect(house.streams.stats().subscribers).toBe(0);
  });

  it('is released when its signal aborts, before and after the start', async () => {
    const house = new StreamHouse();
    house.facts.create();
    const abort = new AbortController();
    const watched = house.watch('task-1', { signal: abort.signal });
    const iterated = collect(house.open('task-1', { signal: abort.signal }));
    await settle();
    expect(house.streams.stats().subscribers).toBe(2);
    abort.abort();
    expect(watched.isComplete).toBe(true);
    expect((await iterated).map((event) => event.seq)).toEqual([1]);
    expect(house.streams.stats().subscribers).toBe(0);
    expect(house.watch('task-1', { signal: abort.signal }).isComplete).toBe(true);
  });

  it('iterates: calls made ahead are answered in order, and leaving the loop releases everything', async () => {
    const house = new StreamHouse();
    house.facts.create();
    const iterator = house.open('task-1')[Symbol.asyncIterator]();
    const ahead = [iterator.next(), iterator.next(), iterator.next(), iterator.next()];
    await settle();
    house.facts.progress('task-1', 2);
    expect((await Promise.all(ahead.slice(0, 3))).map(({ value }) => value.seq)).toEqual([1, 2, 3]);
    await iterator.return?.();
    expect((await ahead[3]!).done).toBe(true);
    for await (const event of house.open('task-1')) if (event.seq === 2) break;
    house.open('task-1')[Symbol.asyncIterator](); // never asked for anything
    expect(house.streams.stats()).toEqual({ active: 0, subscribers: 0 });
  });

  it('hears what the look-up rejects with', async () => {
    const house = new StreamHouse();
    const stream = house.streams.open(() => Promise.reject(new NotFoundError()), { userId: null, lastSeq: 0 });
    await expect(collect(stream)).rejects.toBeInstanceOf(NotFoundError);
  });

  it('of another home is given its rows as they come, and a position beyond them waits', async () => {
    const house = new StreamHouse();
    house.facts.isElsewhere = true;
    house.facts.create();
    const watched = house.watch('task-1');
    const beyond = house.watch('task-1', { lastSeq: 3 });
    await settle();
    house.facts.commit('task-1', ['start']);
    house.facts.progress('task-1', 2);
    expect(seqs(watched)).toEqual([1]);
    await house.clock.run(1_000);
    expect(seqs(watched)).toEqual([1, 2, 3, 4]);
    expect(seqs(beyond)).toEqual([4]);
    expect(house.facts.reads.filter((after) => after > 0)).toEqual([1]); // one read for all
    house.facts.isDown = true;
    house.facts.commit('task-1', ['complete', { result: 1 }]);
    await house.clock.run(5_000);
    expect(house.facts.faults).toBeGreaterThan(0);
    expect(watched.error).toBeUndefined();
    house.facts.isDown = false;
    await house.clock.run(1_000);
    expect(seqs(watched)).toEqual(numbers(1, 5));
    expect(watched.isComplete && beyond.isComplete).toBe(true);
    await house.clock.run(120_000);
    expect(house.clock.timers).toBe(0);
  });

  it('of another home waits beyond rows that say the task has ended, since they may lag', async () => {
    const house = new StreamHouse();
    house.facts.isElsewhere = true;
    house.facts.create();
    house.facts.commit('task-1', ['error', { error: { name: 'Error', message: 'no', retryable: false } }]);
    const beyond = house.watch('task-1', { lastSeq: 3 });
    await house.clock.run(3_000);
    expect(beyond.isComplete).toBe(false);
    house.facts.commit('task-1', ['retry', { reason: 'manual' }], ['start']);
    house.facts.commit('task-1', ['complete', { result: 1 }]);
    await house.clock.run(1_000);
    expect([seqs(beyond), beyond.isComplete]).toEqual([[4, 5], true]);
  });

  it('goes on when a task that was written here once is written elsewhere again', async () => {
    const house = new StreamHouse({ streamRetentionMs: 0 });
    house.facts.isElsewhere = true;
    house.facts.create();
    const watched = house.watch('task-1');
    await settle();
    house.facts.commit('task-1', ['start']);
    house.facts.isElsewhere = false;
    house.facts.commit('task-1', ['recovered']);
    expect(seqs(watched)).toEqual([1]); // the fact that was told shows that one before it is still missing
    await house.clock.run(1_000);
    expect(seqs(watched)).toEqual(numbers(1, 3));
    house.facts.isElsewhere = true;
    house.facts.progress('task-1', 2);
    await house.clock.run(1_000);
    expect(seqs(watched)).toEqual(numbers(1, 5));
    watched.leave();
    expect(house.clock.timers).toBe(0);
  });

  it('ends when rows that it follows are gone', async () => {
    const house = new StreamHouse({ streamRetentionMs: 0 });
    house.facts.isElsewhere = true;
    house.facts.create();
    const watched = house.watch('task-1');
    await settle();
    house.facts.commit('task-1', ['cancelled']);
    house.facts.commit('task-1', ['pruned']);
    await house.clock.run(2_000);
    expect([seqs(watched), watched.isComplete, house.clock.timers]).toEqual([[1], true, 0]);
  });

  it('that leaves while it waits for a database leaves nothing behind', async () => {
    const house = new StreamHouse({ streamRetentionMs: 0 });
    house.facts.create();
    house.facts.progress('task-1', 150);
    house.facts.onRead = (after) => (house.facts.isDown = after === 100);
    const watched = house.watch('task-1');
    await house.clock.run(100);
    expect(house.facts.faults).toBeGreaterThan(0);
    watched.leave();
    await settle();
    expect([house.streams.stats().subscribers, house.clock.timers]).toEqual([0, 0]);
  });

  it('that leaves while its stream is opened, or waits, leaves nothing behind', async () => {
    const house = new StreamHouse({ streamRetentionMs: 0 });
    house.facts.create();
    const iterator = house.open('task-1', { lastSeq: 1 })[Symbol.asyncIterator]();
    const pending = iterator.next();
    await Promise.resolve();
    await iterator.return?.();
    expect((await pending).done).toBe(true);
    house.watch('task-1').leave();
    await settle();
    expect([house.streams.stats().subscribers, house.clock.timers]).toEqual([0, 0]);
  });
});
