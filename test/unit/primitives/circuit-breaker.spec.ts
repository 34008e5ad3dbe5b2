import { describe, expect, it } from '@jest/globals';
import { CircuitBreaker } from '../../../lib/primitives/circuit-breaker.js';
import { FakeClock } from '../../support/fake-clock.js';

function breakerOf(random = (): number => 1) {
  const clock = new FakeClock();
  const breaker = new CircuitBreaker({ threshold: 3, durationMs: 1000, maxDurationMs: 5000 }, clock, random);
  const fail = (times: number): void => {
    for (let count = 0; count < times; count += 1) breaker.failed();
  };
  return { clock, breaker, fail };
}

describe('CircuitBreaker', () => {
  it('opens after the threshold of failures in a row, and not before', () => {
    const { breaker, fail } = breakerOf();
    fail(2);
    breaker.succeeded();
    fail(2);
    expect(breaker.check()).toBe(true);
    fail(1);
    expect(breaker.state).toMatchObject({ kind: 'open', opened: 1 });
    expect(breaker.check()).toBe(false);
    expect(breaker.remainingMs).toBe(1000);
  });

  it('lets exactly one probe through after the open time, and closes when it succeeds', () => {
    const { breaker, clock, fail } = breakerOf();
    fail(3);
    clock.advance(999);
    expect(breaker.check()).toBe(false);
    clock.advance(1);
    expect([breaker.check(), breaker.check()]).toEqual([true, false]);
    expect(breaker.state.kind).toBe('half-open');
    breaker.succeeded();
    expect(breaker.state).toEqual({ kind: 'closed', failures: 0 });
  });

  it('doubles the open time with each failed probe, up to the bound, and starts over once closed', () => {
    const { breaker, clock, fail } = breakerOf();
    fail(3);
    const times: number[] = [];
    for (let probe = 0; probe < 5; probe += 1) {
      times.push(breaker.remainingMs);
      clock.advance(breaker.remainingMs);
      expect(breaker.check()).toBe(true);
      breaker.failed();
    }
    expect(times).toEqual([1000, 2000, 4000, 5000, 5000]);
    clock.advance(5000);
    breaker.check();
    breaker.succeeded();
    fail(3);
    expect(breaker.remainingMs).toBe(1000);
  });

  it('draws the open time between half and all of its duration', () => {
    const { breaker, fail } = breakerOf(() => 0);
    fail(3);
    expect(breaker.remainingMs).toBe(500);
  });

  it('is not moved by calls that began before it opened, nor by the wall clock', () => {
    const { breaker, clock, fail } = breakerOf();
    fail(3);
    breaker.succeeded();
    fail(5);
    clock.jump(1_000_000);
    expect(breaker.state).toMatchObject({ kind: 'open', opened: 1 });
    expect(breaker.check()).toBe(false);
  });
});
