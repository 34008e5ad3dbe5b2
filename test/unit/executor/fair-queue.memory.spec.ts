import { describe, expect, it, jest } from '@jest/globals';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { settle } from '../../support/clock/fake-clock.js';
import { idOfTask, queueOf, workItem } from '../../support/doubles/work-items.js';

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

/** Array buffers are freed a little after their owners: twice, with a turn of the event loop between. */
async function usedBytes(): Promise<number> {
  collect();
  await settle();
  collect();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}
const ALL = { global: 1_000_000, perUser: 1_000_000 };

/** Millions of steps, on a machine that may be busy. */
jest.setTimeout(900_000);

describe('FairQueue, many tasks', () => {
  it.each([
    [100_000, 1000],
    [1_000_000, 1000],
  ])('holds %i queued tasks of %i users in at most 100 bytes each, their ids included', async (count, users) => {
    const { queue } = queueOf(ALL);
    const before = await usedBytes();
    for (let number = 0; number < count; number += 1) queue.offer(workItem(number, { userId: `user-${number % users}` }));
    const bytes = ((await usedBytes()) - before) / count;
    expect(queue.size.queued).toBe(count);
    process.stdout.write(`fair queue: ${count} tasks, ${users} users: ${bytes.toFixed(1)} bytes a task\n`);
    expect(bytes).toBeLessThan(100);
  });

  it('holds a million tasks that are not due yet in little more, and gives the memory back when they have left', async () => {
    const { queue, clock } = queueOf(ALL);
    const before = await usedBytes();
    const count = 1_000_000;
    for (let number = 0; number < count; number += 1) queue.offer(workItem(number, { runAt: clock.now() + 1 + (number % 5000) }));
    const bytes = ((await usedBytes()) - before) / count;
    process.stdout.write(`fair queue: ${count} delayed tasks: ${bytes.toFixed(1)} bytes a task\n`);
    expect(queue.size.delayed).toBe(count);
    expect(bytes).toBeLessThan(110);
    for (let number = 0; number < count; number += 1) queue.withdraw(idOfTask(number));
    expect(queue.size).toEqual({ queued: 0, delayed: 0, parked: 0 });
    expect((await usedBytes()) - before).toBeLessThan(2_000_000);
  });
});
