import { describe, expect, it } from '@jest/globals';
import { backoffMs } from '../../../lib/primitives/backoff.js';
import { seededRandom } from '../../support/clock/fake-clock.js';

const options = { initialDelayMs: 1000, maxDelayMs: 30_000, multiplier: 2, jitter: false };

describe('backoffMs', () => {
  it('doubles from the initial delay up to the maximum', () => {
    const delays = [1, 2, 3, 4, 5, 6, 7].map((failures) => backoffMs(options, failures, () => 0));
    expect(delays).toEqual([1000, 2000, 4000, 8000, 16_000, 30_000, 30_000]);
  });

  it('stays at the maximum after any number of failures, and at 0 when there is no initial delay', () => {
    expect(backoffMs(options, 100_000, () => 0)).toBe(30_000);
    expect(backoffMs({ ...options, initialDelayMs: 0 }, 100_000, () => 0)).toBe(0);
  });

  it('spreads delays evenly from 0 to the ceiling with jitter', () => {
    const seed = 20_261;
    const random = seededRandom(seed);
    const delays = Array.from({ length: 20_000 }, () => backoffMs({ ...options, jitter: true }, 3, random));
    const mean = delays.reduce((sum, delay) => sum + delay, 0) / delays.length;
    expect({ seed, lowest: Math.min(...delays) >= 0, highest: Math.max(...delays) <= 4000 }).toEqual({ seed, lowest: true, highest: true });
    expect(Math.abs(mean - 2000)).toBeLessThan(60);
    expect(Math.min(...delays)).toBeLessThan(40);
    expect(Math.max(...delays)).toBeGreaterThan(3960);
  });
});
