import { describe, expect, it } from '@jest/globals';
import { Semaphore } from '../../../lib/primitives/semaphore.js';
import { settle } from '../../support/fake-clock.js';

describe('Semaphore', () => {
  it('lets as many in as it has permits, and the others in the order in which they came', async () => {
    const semaphore = new Semaphore(2);
    const order: number[] = [];
    const first = await semaphore.acquire();
    await semaphore.acquire();
    const third = semaphore.acquire().then((permit) => (order.push(3), permit));
    const fourth = semaphore.acquire().then((permit) => (order.push(4), permit));
    await settle();
    expect({ order, waiters: semaphore.waiters }).toEqual({ order: [], waiters: 2 });
    first.release();
    (await third).release();
    await fourth;
    expect(order).toEqual([3, 4]);
  });

  it('counts a permit that is released twice only once', async () => {
    const semaphore = new Semaphore(1);
    const permit = await semaphore.acquire();
    permit.release();
    permit.release();
    expect(semaphore.available).toBe(1);
    expect(semaphore.tryAcquire()).not.toBeNull();
    expect(semaphore.tryAcquire()).toBeNull();
  });

  it('forgets a waiter whose signal aborts, and one that was aborted before', async () => {
    const semaphore = new Semaphore(1);
    const held = await semaphore.acquire();
    const abort = new AbortController();
    const waiting = semaphore.acquire(abort.signal);
    abort.abort(new Error('gone'));
    await expect(waiting).rejects.toThrow('gone');
    await expect(semaphore.acquire(abort.signal)).rejects.toThrow('gone');
    expect(semaphore.waiters).toBe(0);
    held.release();
    expect(semaphore.available).toBe(1);
  });

  it('gives the permit back when the work throws', async () => {
    const semaphore = new Semaphore(1);
    await expect(semaphore.run(() => Promise.reject(new Error('work')))).rejects.toThrow('work');
    await expect(semaphore.run(() => Promise.resolve(7))).resolves.toBe(7);
    expect(() => new Semaphore(0)).toThrow(RangeError);
  });
});
