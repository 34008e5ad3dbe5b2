import { describe, expect, it } from '@jest/globals';
import { ValidationError } from '../../../lib/errors/request.errors.js';
import { StreamEndedError, SubscriberLimitError } from '../../../lib/errors/stream.errors.js';
import { parseCursors } from '../../../lib/domain/stream-cursors.js';
import { seededRandom, settle } from '../../support/clock/fake-clock.js';
import { SEED } from '../../support/clock/seed.js';
import { ManyClient, ManyHouse } from './many-house.js';
import { numbers } from './stream-house.js';

const uuid = (n: number): string => `01890000-0000-7000-8000-${n.toString(16).padStart(12, '0')}`;
const of = (task: string, from: number, to: number): string[] => numbers(from, to).map((seq) => `${task} ${seq}`);

describe('A stream of many tasks', () => {
  it('tells every event of every task that was named, once and in order, and is over when they all are', async () => {
    const house = new ManyHouse();
    for (const id of ['a', 'b', 'c']) house.facts.create(id);
    house.facts.progress('a', 3);
    const client = await house.follow(['a', 'b']);
    await settle();
    house.facts.progress('b', 2);
    house.facts.progress('c', 2);
    house.facts.commit('a', ['complete', { result: 1 }]);
    expect(client.isComplete).toBe(false);
    house.facts.commit('b', ['error', { error: { name: 'E', message: '', retryable: false } }]);
    await settle();
    expect(client.what.filter((what) => what.startsWith('a'))).toEqual(of('a', 1, 5));
    expect(client.what.filter((what) => what.startsWith('b'))).toEqual(of('b', 1, 4));
    expect(client.what).toHaveLength(9);
    expect(client.values.filter(({ type }) => type === 'failed')).toHaveLength(1);
    expect([client.isComplete, client.error, house.streams.stats().subscribers, house.clock.timers]).toEqual([true, undefined, 0, 1]);
    await expect(house.follow(['a', 'b'], client.lastId)).rejects.toThrow(StreamEndedError);
  });

  it('lets new tasks of the filter join by themselves, and no others', async () => {
    const house = new ManyHouse();
    house.facts.create('a', { userId: 'alice', tags: ['x'] });
    const client = await house.follow({ userId: 'alice', tag: 'x', name: 'import' }, '', 'alice');
    house.facts.create('b', { userId: 'alice', tags: ['x'] });
    house.facts.create('c', { userId: 'bob', tags: ['x'] });
    house.facts.create('d', { userId: 'alice', tags: ['y'] });
    house.facts.create('e', { userId: 'alice', tags: ['x'], name: 'other' });
    house.facts.commit('b', ['start']);
    await settle();
    expect(client.what.toSorted()).toEqual(['a 1', 'b 1', 'b 2']);
  });

  it('cut after any message and resumed by its one id gives the rest, of every task, and nothing twice', async () => {
    const random = seededRandom(SEED);
    const house = new ManyHouse();
    const ids = numbers(1, 6).map(uuid);
    for (const id of ids) house.facts.create(id);
    for (let i = 0; i < 40; i++) house.facts.progress(ids[Math.floor(random() * 5)]!, 1);
    house.facts.commit(ids[0]!, ['complete', { result: 1 }]);
    for (const tasks of [ids, {}]) {
      const whole = await house.follow(tasks);
      await settle();
      const all = whole.told;
      expect(all).toHaveLength(47);
      for (let cut = 0; cut < all.length; cut++) {
        const rest = await house.follow(tasks, all[cut]!.id);
        await settle();
        const perTask = (client: readonly { what: string }[]): string[] => client.map(({ what }) => what).toSorted();
        expect({ seed: SEED, cut, told: perTask([...all.slice(0, cut + 1), ...rest.told]) }).toEqual({
          seed: SEED,
          cut,
          told: perTask(all),
        });
        for (const id of ids) {
          const seqs = rest.told.filter(({ data }) => data['taskId'] === id).map(({ data }) => data['seq']);
          expect(seqs).toEqual(seqs.toSorted((a, b) => Number(a) - Number(b)));
        }
        rest.leave();
      }
      whole.leave();
    }
  });

  it('tells of tasks that began and ended while nobody was connected, and not again of those that were told', async () => {
    const house = new ManyHouse();
    house.facts.create('old');
    house.facts.commit('old', ['cancelled']);
    await house.clock.run(600_000);
    const first = await house.follow({});
    house.facts.create('a');
    house.facts.commit('a', ['cancelled']);
    await settle();
    expect(first.what).toEqual(['a 1', 'a 2']);
    first.leave();
    await house.clock.run(3_600_000);
    house.facts.create('b');
    house.facts.commit('b', ['cancelled']);
    await house.clock.run(3_600_000);
    const second = await house.follow({}, first.lastId);
    await settle();
    expect(second.what).toEqual(['b 1', 'b 2']);
  });

  it('goes on with a task that was retried by hand after its end', async () => {
    const house = new ManyHouse();
    for (const id of ['a', 'b']) house.facts.create(id);
    const client = await house.follow(['a', 'b']);
    house.facts.commit('a', ['error', { error: { name: 'E', message: '', retryable: false } }]);
    await settle();
    house.facts.commit('a', ['retry', { reason: 'manual', runAt: 1 }]);
    await settle();
    expect(client.what.filter((what) => what.startsWith('a'))).toEqual(of('a', 1, 3));
  });

  it('forgets in its ids what has ended a minute ago, so that they do not grow with the day', async () => {
    const house = new ManyHouse();
    const client = await house.follow({});
    for (let n = 1; n <= 50; n++) {
      house.facts.create(uuid(n));
      house.facts.commit(uuid(n), ['cancelled']);
      await house.clock.run(10_000);
    }
    await settle();
    expect(client.told).toHaveLength(100);
    expect(Object.keys(parseCursors(client.lastId)).length).toBeLessThan(10);
  });

  it('says of one task alone that its history is gone, with what it is now, and goes on from there', async () => {
    const house = new ManyHouse({ streamBufferSize: 2 });
    for (const id of ['a', 'b']) house.facts.create(id);
    house.facts.progress('a', 5);
    house.facts.firstSeq = 4;
    const client = await house.follow(['a', 'b'], 'b:1');
    await settle();
    expect(client.told[0]).toMatchObject({
      what: 'a gap',
      data: { taskId: 'a', firstAvailableSeq: 4, task: { status: 'created', lastSeq: 6 } },
    });
    expect(client.what.slice(1)).toEqual(of('a', 4, 6));
    house.facts.progress('b', 1);
    expect(client.what.at(-1)).toBe('b 2');
    expect(parseCursors(client.told[0]!.id)).toEqual({ a: 3, b: 1 });
  });

  it('says of a task that is deleted that it is missing, and goes on with the others', async () => {
    const house = new ManyHouse({ streamBufferSize: 2 });
    for (const id of ['a', 'b']) house.facts.create(id);
    house.facts.commit('a', ['start'], ['cancelled']);
    const messages = await house.messages(['a', 'b']);
    house.facts.commit('a', ['pruned']);
    const client = new ManyClient(messages);
    await settle();
    house.facts.progress('b', 1);
    expect([client.what.toSorted(), client.isComplete]).toEqual([['a missing', 'b 1', 'b 2'], false]);
    expect(parseCursors(client.lastId)).toEqual({ b: 2 });
  });

  it('follows a hundred tasks at once, the newest, and the others when there is room', async () => {
    const house = new ManyHouse();
    for (let n = 1; n <= 130; n++) {
      house.facts.create(uuid(n));
      house.clock.advance(1);
    }
    const client = await house.follow({});
    await settle();
    expect(new Set(client.what).size).toBe(100);
    expect(client.what).not.toContain(`${uuid(30)} 1`);
    for (let n = 31; n <= 81; n++) house.facts.commit(uuid(n), ['cancelled']);
    await settle();
    await settle();
    expect(new Set(client.what).size).toBe(130 + 51);
    for (let n = 1; n <= 130; n++) expect(client.what).toContain(`${uuid(n)} 1`);
  });

  it('counts as one subscriber, and as one of each of its tasks; gives all back', async () => {
    const house = new ManyHouse({ maxSubscribersPerUser: 2, maxSubscribersPerTask: 2 });
    for (const id of ['a', 'b', 'c']) house.facts.create(id, { userId: 'alice' });
    const clients = [await house.follow(['a', 'b'], '', 'alice'), await house.follow(['a', 'c'], '', 'alice')];
    await settle();
    expect(house.streams.stats()).toEqual({ active: 3, subscribers: 2 });
    await expect(house.follow(['b'], '', 'alice')).rejects.toThrow(SubscriberLimitError);
    await expect(house.follow(['a'])).rejects.toThrow(SubscriberLimitError);
    expect(house.streams.stats()).toEqual({ active: 3, subscribers: 2 });
    for (const client of clients) client.leave();
    expect([house.streams.stats(), house.clock.timers]).toEqual([{ active: 0, subscribers: 0 }, 1]);
  });

  it('holds one page of history at a time, however many tasks are behind', async () => {
    const house = new ManyHouse({ streamBufferSize: 1 });
    const ids = numbers(1, 20).map(uuid);
    for (const id of ids) {
      house.facts.create(id);
      house.facts.progress(id, 250);
    }
    let under = 0;
    let most = 0;
    const after = house.facts.after.bind(house.facts);
    house.facts.after = async (...args) => {
      most = Math.max(most, ++under);
      return after(...args).finally(() => (under -= 1));
    };
    const client = await house.follow(ids);
    await house.clock.run(1_000);
    expect([most, client.told.length]).toEqual([1, 20 * 251]);
  });

  it('goes on with tasks in memory while the history of another one cannot be read', async () => {
    const house = new ManyHouse({ streamBufferSize: 5 });
    for (const id of ['a', 'b']) house.facts.create(id);
    house.facts.progress('a', 20);
    const messages = await house.messages(['a', 'b'], 'b:1');
    house.facts.isDown = true;
    const client = new ManyClient(messages);
    await house.clock.run(5_000);
    house.facts.progress('b', 3);
    expect(client.what.filter((what) => what.startsWith('b'))).toEqual(of('b', 2, 4));
    expect(house.facts.faults).toBeGreaterThan(0);
    house.facts.isDown = false;
    await house.clock.run(5_000);
    expect(client.what.filter((what) => what.startsWith('a'))).toEqual(of('a', 1, 21));
  });

  it('asks its client back where it stands when the system stops, and after maxAgeMs', async () => {
    const house = new ManyHouse({ maxAgeMs: 100_000, keepAliveMs: 30_000 });
    house.facts.create('a');
    const aged = await house.follow({});
    await house.clock.run(85_000);
    expect([aged.isComplete, aged.hint]).toEqual([false, undefined]);
    await house.clock.run(15_000);
    expect([aged.isComplete, parseCursors(aged.hint!.id!)]).toMatchObject([true, { a: 1 }]);
    const client = await house.follow(['a'], 'a:1');
    const end = house.streams.stop();
    expect([client.isComplete, parseCursors(client.hint!.id!)]).toEqual([true, { a: 1 }]);
    await house.clock.run(100);
    await end;
  });

  it.each<[string, (house: ManyHouse) => Promise<ManyClient>, unknown]>([
    ['a position beyond the last event', (house) => house.follow(['a'], 'a:7'), ValidationError],
    ['a position beyond it, of a filter', (house) => house.follow({}, 'a:7'), ValidationError],
  ])('refuses %s', async (_what, open, error) => {
    const house = new ManyHouse();
    house.facts.create('a');
    await expect(open(house)).rejects.toThrow(error as never);
    expect(house.streams.stats()).toEqual({ active: 0, subscribers: 0 });
  });
});

describe('A composite id', () => {
  it('is read as it is written, with ids of any kind', () => {
    expect(parseCursors(`#:12,*:1700000000000,${uuid(255)}:7,AYkAAAAAcACAAAAAAAAAAQ:3,task-1:0`)).toEqual({
      '*': 1_700_000_000_000,
      [uuid(255)]: 7,
      [uuid(1)]: 3,
      'task-1': 0,
    });
  });

  it.each([
    'garbage',
    ':',
    'a:',
    ':1',
    'a:-1',
    'a:1.5',
    'a:1,',
    'a:1,a:2',
    'a:99999999999999999',
    'a:9007199254740993',
    'a b:1',
    'ü:1',
    'a:1;b:2',
    `${'a'.repeat(65)}:1`,
    numbers(1, 501)
      .map((n) => `t${n}:1`)
      .join(),
    'a:1\n',
  ])('is refused as Last-Event-ID when it is %j', (text) => {
    expect(() => parseCursors(text)).toThrow(expect.objectContaining({ field: 'Last-Event-ID' }) as never);
  });
});
