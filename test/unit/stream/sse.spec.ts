import { describe, expect, it } from '@jest/globals';
import { lastValueFrom, toArray } from 'rxjs';
import { ShuttingDownError } from '../../../lib/errors/admission.errors.js';
import { ValidationError } from '../../../lib/errors/request.errors.js';
import { RepositoryError } from '../../../lib/errors/storage.errors.js';
import { StreamEndedError, StreamOverflowError, SubscriberLimitError } from '../../../lib/errors/stream.errors.js';
import { settle } from '../../support/clock/fake-clock.js';
import { numbers, StreamHouse, Watched } from './stream-house.js';

const ERROR = { name: 'Error', message: 'no', retryable: false };
const ids = (watched: Watched<{ id?: string }>): string[] => watched.values.flatMap(({ id }) => (id === undefined ? [] : [id]));

describe('An SSE stream', () => {
  it('carries id, name and one line of JSON without user id and key', async () => {
    const house = new StreamHouse();
    house.facts.create('task-1', { userId: 'alice', key: 'chosen-key' });
    house.facts.commit('task-1', ['start']);
    house.facts.commit('task-1', ['progress', { payload: { text: 'two\nlines\r\u2028', n: 1 } }]);
    house.facts.commit('task-1', ['custom', { eventName: 'row', payload: [1, 2] }]);
    house.facts.commit('task-1', ['error', { error: ERROR }]);
    const messages = await lastValueFrom((await house.sse('task-1')).pipe(toArray()));
    expect(messages.map(({ id, type }) => [id, type])).toEqual([
      ['1', 'created'],
      ['2', 'start'],
      ['3', 'progress'],
      ['4', 'custom'],
      ['5', 'failed'],
    ]);
    const data = messages.map((message) => JSON.parse(message.data as string) as Record<string, unknown>);
    const timestamp = house.facts.entries('task-1')[2]!.at;
    expect(data[2]).toEqual({
      seq: 3,
      type: 'progress',
      taskId: 'task-1',
      attempt: 1,
      timestamp,
      payload: { text: 'two\nlines\r\u2028', n: 1 },
    });
    expect(Object.keys(data[3]!)).toEqual(['seq', 'type', 'eventName', 'taskId', 'attempt', 'timestamp', 'payload']);
    expect(data[4]).toMatchObject({ seq: 5, type: 'error', payload: { error: ERROR } });
    for (const message of messages) {
      expect(message.data).not.toMatch(/[\r\n]|alice|chosen-key|secret/);
      expect(Object.keys(message)).toEqual(['id', 'type', 'data']);
    }
  });

  it('sends one line also of a body that storage has formatted', async () => {
    const house = new StreamHouse();
    house.facts.encode = (data) => JSON.stringify(data).replaceAll(':{', ':{\n');
    house.facts.create();
    house.facts.commit('task-1', ['progress', { payload: { a: 1 } }], ['cancelled']);
    const messages = await lastValueFrom((await house.sse('task-1')).pipe(toArray()));
    expect(messages[1]!.data).not.toContain('\n');
    expect(JSON.parse(messages[1]!.data as string)).toMatchObject({ payload: { a: 1 } });
  });

  it('is serialised once, whatever the number of subscribers', async () => {
    const house = new StreamHouse();
    house.facts.create();
    const watched = await Promise.all(numbers(1, 10).map(async () => new Watched(await house.sse('task-1'))));
    house.facts.progress('task-1', 2);
    for (const { values } of watched) values.slice(1).forEach((message, index) => expect(message).toBe(watched[0]!.values[index + 1]));
    expect(watched[0]!.values).toHaveLength(3);
  });

  it('shows no heartbeat, and keep-alives as comments that carry nothing else', async () => {
    const house = new StreamHouse({ keepAliveMs: 1_000 });
    house.facts.create();
    house.facts.commit('task-1', ['start']);
    const watched = new Watched(await house.sse('task-1'));
    house.facts.commit('task-1', ['heartbeat']);
    await house.clock.run(3_000);
    expect(watched.values.slice(2)).toEqual([{ comment: 'keep-alive' }, { comment: 'keep-alive' }, { comment: 'keep-alive' }]);
    watched.leave();
    await house.clock.run(100_000);
    expect(house.clock.timers).toBe(0);
  });

  it('goes on with keep-alives while the database is down, then with the next event', async () => {
    const house = new StreamHouse({ streamBufferSize: 1 });
    house.facts.create();
    house.facts.progress('task-1', 150);
    let reads = 0;
    house.facts.onRead = () => (house.facts.isDown = (reads += 1) === 2);
    const watched = new Watched(await house.sse('task-1'));
    house.facts.onRead = undefined;
    house.facts.isDown = true;
    await house.clock.run(30_000);
    expect(house.facts.faults).toBeGreaterThan(0);
    expect(watched.values.slice(100)).toEqual([{ comment: 'keep-alive' }, { comment: 'keep-alive' }]);
    house.facts.isDown = false;
    await house.clock.run(1_000);
    expect(ids(watched)).toEqual(numbers(1, 151).map(String));
  });

  it('answers 204 at and past the head of an ended task, and nowhere else', async () => {
    const house = new StreamHouse();
    house.facts.create();
    house.facts.commit('task-1', ['error', { error: ERROR }]);
    for (const lastSeq of [2, 3]) await expect(house.sse('task-1', { lastSeq })).rejects.toBeInstanceOf(StreamEndedError);
    expect(new StreamEndedError(2).getStatus()).toBe(204);
    const last = new Watched(await house.sse('task-1', { lastSeq: 1 }));
    expect(ids(last)).toEqual(['2']);
    house.facts.commit('task-1', ['retry', { reason: 'manual' }]);
    const next = new Watched(await house.sse('task-1', { lastSeq: 2 }));
    expect([ids(next), next.isComplete]).toEqual([['3'], false]);
  });

  it('is refused before it begins: 400, 410, 429, 503', async () => {
    const house = new StreamHouse({ maxSubscribersPerTask: 1 });
    house.facts.create();
    house.facts.progress('task-1', 9);
    await expect(house.sse('task-1', { lastSeq: 11 })).rejects.toMatchObject({ field: 'lastSeq' });
    await expect(house.sse('task-1', { lastSeq: -1 })).rejects.toBeInstanceOf(ValidationError);
    house.facts.firstSeq = 4;
    await expect(house.sse('task-1', { lastSeq: 1 })).rejects.toBeInstanceOf(StreamOverflowError);
    const first = new Watched(await house.sse('task-1', { lastSeq: 3 }));
    await expect(house.sse('task-1', { lastSeq: 3 })).rejects.toBeInstanceOf(SubscriberLimitError);
    first.leave();
    house.facts.isDown = true;
    await expect(new StreamHouse({}, house.facts).sse('task-1', { lastSeq: 3 })).rejects.toBeInstanceOf(RepositoryError);
    await expect(house.sse('task-1', { lastSeq: 3 })).rejects.toBeInstanceOf(RepositoryError);
    expect(house.streams.stats()).toEqual({ active: 0, subscribers: 0 });
  });

  it('never errors once it began: it asks the client back, with the position as id', async () => {
    const house = new StreamHouse({ streamBufferSize: 1 });
    house.facts.create();
    house.facts.progress('task-1', 120);
    house.facts.onRead = (after) => (house.facts.firstSeq = after === 100 ? 110 : 1);
    const watched = new Watched(await house.sse('task-1'));
    await settle();
    expect(watched.error).toBeUndefined();
    expect(watched.isComplete).toBe(true);
    expect(watched.values.at(-1)).toEqual({ id: '100', retry: expect.any(Number) });
    await expect(house.sse('task-1', { lastSeq: 100 })).rejects.toMatchObject({ requestedSeq: 100 });
  });

  it('gives its place up when nobody subscribes it, and still works afterwards', async () => {
    const house = new StreamHouse({ streamRetentionMs: 0 });
    house.facts.create();
    const stream = await house.sse('task-1');
    expect(house.streams.stats().subscribers).toBe(1);
    house.clock.advance(1_000);
    expect(house.streams.stats().subscribers).toBe(0);
    const late = new Watched(stream);
    await settle();
    expect(ids(late)).toEqual(['1']);
    expect(house.streams.stats().subscribers).toBe(1);
    const abort = new AbortController();
    await house.sse('task-1', { signal: abort.signal });
    abort.abort();
    late.leave();
    late.leave();
    expect(house.streams.stats().subscribers).toBe(0);
    expect(house.clock.timers).toBe(0);
  });

  it('that is subscribed too late and finds the task pruned asks the client back too, as the headers may be out', async () => {
    const house = new StreamHouse({ streamRetentionMs: 0 });
    house.facts.create();
    house.facts.commit('task-1', ['cancelled']);
    const stream = await house.sse('task-1', { lastSeq: 1 });
    house.clock.advance(1_000);
    house.facts.commit('task-1', ['pruned']);
    const late = new Watched(stream);
    await settle();
    expect([late.values, late.isComplete, late.error]).toEqual([[{ id: '1', retry: expect.any(Number) }], true, undefined]);
  });

  it('lets the socket breathe during a heavy replay', async () => {
    const house = new StreamHouse();
    house.facts.create();
    const warm = new Watched(await house.sse('task-1'));
    house.facts.progress('task-1', 12, 'x'.repeat(60_000)); // all in the ring
    const watched = new Watched(await house.sse('task-1', { lastSeq: 1 }));
    expect(watched.values.length).toBeLessThan(6);
    await house.clock.run(10);
    expect(ids(watched)).toEqual(numbers(2, 13).map(String));
    expect(ids(warm)).toEqual(numbers(1, 13).map(String));
  });

  it('ends with a hint and no terminal event when the log halts, after the last durable event', async () => {
    const house = new StreamHouse();
    house.facts.create();
    house.facts.progress('task-1', 5);
    const watched = new Watched(await house.sse('task-1'));
    house.facts.halt();
    const later = new Watched(await house.sse('task-1', { lastSeq: 4 }));
    await settle();
    for (const { values, isComplete } of [watched, later]) {
      expect(isComplete).toBe(true);
      expect(values.at(-2)).toMatchObject({ id: '6', type: 'progress' });
      expect(values.at(-1)).toEqual({ id: '6', retry: expect.any(Number) });
    }
  });

  it('ends with a hint at stop, which waits for the sockets to drain, once', async () => {
    const house = new StreamHouse();
    house.facts.create();
    house.facts.progress('task-1', 5);
    const sse = await Promise.all(numbers(1, 3).map(async () => new Watched(await house.sse('task-1'))));
    const watched = house.watch('task-1');
    const iterator = house.open('task-1', { lastSeq: 6 })[Symbol.asyncIterator]();
    const waiting = iterator.next();
    await settle();
    let isStopped = false;
    const stopped = house.streams.stop().then(() => (isStopped = true));
    expect(sse.every(({ isComplete }) => isComplete)).toBe(true);
    const hints = sse.map(({ values }) => values.at(-1)!);
    for (const hint of hints) expect(hint).toEqual({ id: '6', retry: expect.any(Number) });
    expect(new Set(hints.map(({ retry }) => retry)).size).toBe(3); // not all at the same time
    expect(watched.isComplete).toBe(true);
    expect((await waiting).done).toBe(true);
    await settle();
    expect(isStopped).toBe(false);
    await house.clock.run(25);
    await stopped;
    await house.streams.stop();
    expect(house.clock.timers).toBe(0);
    await expect(house.sse('task-1')).rejects.toBeInstanceOf(ShuttingDownError);
    expect(house.streams.stats()).toEqual({ active: 0, subscribers: 0 });
  });

  it('ends at stop also while it waits for a database that is down', async () => {
    const house = new StreamHouse({ streamBufferSize: 1 });
    house.facts.create();
    house.facts.progress('task-1', 150);
    house.facts.onRead = (after) => (house.facts.isDown = after === 100);
    const watched = new Watched(await house.sse('task-1'));
    await house.clock.run(100);
    expect(house.facts.faults).toBeGreaterThan(0);
    const iterator = house.open('task-1', { lastSeq: 100 })[Symbol.asyncIterator]();
    house.facts.isDown = false;
    house.facts.onRead = (after) => (house.facts.isDown = after === 120);
    house.facts.maxPage = 20;
    for (let seq = 101; seq <= 120; seq += 1) await iterator.next();
    const waiting = iterator.next();
    await settle();
    void house.streams.stop();
    expect((await waiting).done).toBe(true);
    expect(watched.values.at(-1)).toEqual({ id: '100', retry: expect.any(Number) });
    await house.clock.run(1_000);
    expect(house.clock.timers).toBe(0);
  });

  it('is refused when the stop comes while it is opened', async () => {
    const house = new StreamHouse();
    house.facts.create();
    house.facts.onLoad = () => void house.streams.stop();
    await expect(house.sse('task-1')).rejects.toBeInstanceOf(ShuttingDownError);
    expect(house.streams.stats().subscribers).toBe(0);
  });
});
