import { describe, expect, it } from '@jest/globals';
import type { TaskMessages } from '../../../lib/contracts/task-messages.interface.js';
import { settle } from '../../support/clock/fake-clock.js';
import { ManyClient, ManyHouse } from './many-house.js';
import { numbers, StreamHouse, Watched } from './stream-house.js';

const PADDING = 'x'.repeat(50_000);

describe('A client that stops reading', () => {
  it('is handed nothing more, reads one page at most, delays nobody, and has everything once it reads again', async () => {
    const house = new StreamHouse({ streamBufferSize: 2 });
    house.facts.create();
    const messages = (await house.sse('task-1')) as TaskMessages;
    const stalled = new Watched(messages);
    const other = house.watch('task-1');
    await settle();
    messages.flow(false);
    const reads = house.facts.reads.length;
    house.facts.progress('task-1', 100, PADDING);
    await house.clock.run(60_000);
    expect([stalled.values.length, messages.position]).toEqual([1, 1]);
    expect(other.values).toHaveLength(101);
    expect(house.facts.reads.length - reads).toBeLessThanOrEqual(1);
    messages.flow(true);
    await house.clock.run(1_000);
    expect(stalled.values.flatMap(({ id }) => (id === undefined ? [] : [Number(id)]))).toEqual(numbers(1, 101));
  });

  it('is ended all the same when the system stops', async () => {
    const house = new StreamHouse();
    house.facts.create();
    const messages = (await house.sse('task-1')) as TaskMessages;
    const stalled = new Watched(messages);
    await settle();
    messages.flow(false);
    house.facts.progress('task-1', 3);
    void house.streams.stop();
    expect([stalled.isComplete, stalled.values.at(-1)]).toMatchObject([true, { id: '1', retry: expect.any(Number) }]);
    await house.clock.run(100);
  });

  it('of many tasks is handed nothing more either, of any, and has everything once it reads again', async () => {
    const house = new ManyHouse({ streamBufferSize: 2 });
    for (const id of ['a', 'b']) house.facts.create(id);
    const messages = await house.messages(['a', 'b']);
    const client = new ManyClient(messages);
    await settle();
    messages.flow(false);
    for (const id of ['a', 'b']) house.facts.progress(id, 50, PADDING);
    await house.clock.run(60_000);
    expect(client.told).toHaveLength(2);
    messages.flow(true);
    await house.clock.run(1_000);
    for (const id of ['a', 'b'])
      expect(client.told.filter(({ data }) => data['taskId'] === id).map(({ data }) => data['seq'])).toEqual(numbers(1, 51));
  });
});
