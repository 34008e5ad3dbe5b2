import { randomUUID } from 'node:crypto';
import { describe, expect, it } from '@jest/globals';
import { taskId } from '../../../lib/contracts/ids.js';
import { LateReads } from '../../../lib/engines/local/queue/late-reads.js';
import { FakeClock, settle } from '../../support/clock/fake-clock.js';

function setUp() {
  const clock = new FakeClock();
  const reads = new LateReads<string>(clock);
  let asked = 0;
  let answer!: (value: string) => void;
  let refuse!: (error: unknown) => void;
  const read = (): Promise<string> => {
    asked++;
    return new Promise((resolve, reject) => ([answer, refuse] = [resolve, reject]));
  };
  const impatient = async (id: ReturnType<typeof taskId>): Promise<unknown> => {
    const soon = reads.soon(id, read);
    await clock.run(250);
    return soon;
  };
  return {
    clock,
    reads,
    read,
    impatient,
    asked: () => asked,
    answer: (value: string) => answer(value),
    refuse: (error: unknown) => refuse(error),
  };
}

describe('What a claimed task needs of the database', () => {
  it('is waited for a moment, and kept for the next claim when it comes later: a slow database holds nobody up for good', async () => {
    const { reads, read, impatient, asked, answer } = setUp();
    const id = taskId(randomUUID());
    expect(await impatient(id)).toBeUndefined();
    expect(await impatient(id)).toBeUndefined();
    answer('its input');
    await settle();
    expect(await reads.soon(id, read)).toEqual({ found: 'its input' });
    expect(asked()).toBe(1);
  });

  it('is refused as the database refused it, also when that came between two claims', async () => {
    const { reads, read, impatient, refuse } = setUp();
    const id = taskId(randomUUID());
    await impatient(id);
    refuse(new Error('away'));
    await settle();
    await expect(reads.soon(id, read)).rejects.toThrow('away');
  });

  it('is asked for by a bounded number of tasks, and by none that waits no longer', async () => {
    const { clock, reads, impatient, asked } = setUp();
    const first = taskId(randomUUID());
    await impatient(first);
    for (let n = 0; n < 300; n++) void reads.soon(taskId(randomUUID()), () => new Promise(() => undefined));
    await clock.run(250);
    expect(await impatient(taskId(randomUUID()))).toBeUndefined();
    expect(asked()).toBe(1); // the others gave reads of their own
    reads.clear();
    await impatient(first);
    expect(asked()).toBe(2);
    expect(clock.timers).toBe(0);
  });
});
