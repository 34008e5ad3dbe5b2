import { describe, expect, it } from '@jest/globals';
import { Deferred } from '../../../lib/primitives/deferred.js';

describe('Deferred', () => {
  it('resolves its promise from outside, and the first settlement holds', async () => {
    const deferred = new Deferred<number>();
    deferred.resolve(1);
    deferred.resolve(2);
    deferred.reject(new Error('too late'));
    await expect(deferred.promise).resolves.toBe(1);
  });

  it('rejects its promise from outside', async () => {
    const deferred = new Deferred();
    deferred.reject(new Error('no'));
    await expect(deferred.promise).rejects.toThrow('no');
  });
});
