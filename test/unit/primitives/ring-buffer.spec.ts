import { describe, expect, it } from '@jest/globals';
import { RingBuffer } from '../../../lib/primitives/ring-buffer.js';

describe('RingBuffer', () => {
  it('keeps the last items, oldest first, and says what had to go', () => {
    const ring = new RingBuffer<number>(3);
    expect([1, 2, 3].map((item) => ring.push(item))).toEqual([undefined, undefined, undefined]);
    expect(ring.push(4)).toBe(1);
    expect(ring.push(5)).toBe(2);
    expect([...ring]).toEqual([3, 4, 5]);
    expect([ring.first(), ring.last(), ring.at(1), ring.at(3), ring.at(-1)]).toEqual([3, 5, 4, undefined, undefined]);
  });

  it('gives items back in order while it is filled and emptied', () => {
    const ring = new RingBuffer<number>(4);
    const model: number[] = [];
    for (let step = 0; step < 500; step += 1) {
      if (step % 3 === 2) expect(ring.shift()).toBe(model.shift());
      else {
        model.push(step);
        expect(ring.push(step)).toBe(model.length > 4 ? model.shift() : undefined);
      }
      expect([...ring]).toEqual(model);
      expect(ring.size).toBe(model.length);
    }
  });

  it('is empty after clear, and refuses a capacity it cannot have', () => {
    const ring = new RingBuffer<number>(2);
    ring.push(1);
    ring.clear();
    expect([...ring]).toEqual([]);
    expect(ring.shift()).toBeUndefined();
    ring.push(7);
    expect(ring.first()).toBe(7);
    expect(() => new RingBuffer(0)).toThrow(RangeError);
    expect(() => new RingBuffer(1.5)).toThrow(RangeError);
  });
});
