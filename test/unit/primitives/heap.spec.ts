import { describe, expect, it } from '@jest/globals';
import { IndexedHeap } from '../../../lib/primitives/heap.js';
import { seededRandom } from '../../support/clock/fake-clock.js';

describe('IndexedHeap', () => {
  it('gives entries back in order, whatever was pushed and taken out between (random)', () => {
    const seed = 4_711;
    const random = seededRandom(seed);
    const keys: number[] = [];
    const positions: number[] = [];
    const heap = new IndexedHeap(
      (a, b) => keys[a]! < keys[b]!,
      (entry, position) => (positions[entry] = position),
    );
    const inside = new Set<number>();
    for (let step = 0; step < 20_000; step += 1) {
      const dice = random();
      if (dice < (step < 12_000 ? 0.6 : 0.3)) {
        keys.push(Math.floor(random() * 1000));
        heap.push(keys.length - 1);
        inside.add(keys.length - 1);
      } else if (dice < 0.8 && inside.size > 0) {
        const least = Math.min(...[...inside].map((entry) => keys[entry]!));
        const popped = heap.pop()!;
        expect({ seed, step, key: keys[popped] }).toEqual({ seed, step, key: least });
        inside.delete(popped);
      } else if (inside.size > 0) {
        const [entry] = inside;
        expect(heap.removeAt(positions[entry!]!)).toBe(entry);
        inside.delete(entry!);
      }
      expect(heap.size).toBe(inside.size);
    }
  });

  it('is honest about being empty', () => {
    const heap = new IndexedHeap(
      (a, b) => a < b,
      () => undefined,
    );
    expect([heap.size, heap.peek(), heap.pop()]).toEqual([0, undefined, undefined]);
    expect(() => heap.removeAt(0)).toThrow(RangeError);
  });
});
