import { afterEach, describe, expect, it, jest } from '@jest/globals';
import { SystemIdSource } from '../../../lib/primitives/id-source.js';
import { SystemClock } from '../../../lib/primitives/system-clock.js';

describe('SystemIdSource', () => {
  afterEach(() => {
    jest.restoreAllMocks();
  });

  it('gives UUIDs of version 7 that never go down, not even when the wall clock steps back', () => {
    const ids = new SystemIdSource();
    const start = Date.now();
    const now = jest.spyOn(Date, 'now');
    const given: string[] = [];
    for (const stepMs of [0, 1, 1, -3_600_000, -3_600_000, 2]) {
      now.mockReturnValue(start + stepMs);
      for (let i = 0; i < 500; i++) given.push(ids.uuid());
    }
    expect(now).toHaveBeenCalled();
    expect(given.every((id) => /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/.test(id))).toBe(true);
    expect(given).toEqual([...given].sort());
    expect(new Set(given).size).toBe(given.length);
  });

  it('gives chance between 0 and 1', () => {
    const drawn = Array.from({ length: 100 }, () => new SystemIdSource().random());
    expect(drawn.every((x) => x >= 0 && x < 1)).toBe(true);
    expect(new Set(drawn).size).toBeGreaterThan(1);
  });
});

describe('SystemClock', () => {
  const clock = new SystemClock();
  afterEach(() => {
    jest.useRealTimers();
  });

  it('tells wall time in epoch ms and a monotonic time apart from it', () => {
    jest.useFakeTimers({ now: 1_700_000_000_000, doNotFake: ['performance'] });
    const before = clock.monotonic();
    expect(clock.now()).toBe(1_700_000_000_000);
    jest.setSystemTime(5);
    expect(clock.now()).toBe(5);
    expect(clock.monotonic()).toBeGreaterThanOrEqual(before);
  });

  it('calls back once after the delay, and not at all when cancelled, twice if need be', () => {
    jest.useFakeTimers();
    const [kept, cancelled] = [jest.fn(), jest.fn()];
    clock.after(10, kept);
    const timer = clock.after(10, cancelled);
    timer.cancel();
    timer.cancel();
    jest.advanceTimersByTime(9);
    expect(kept).not.toHaveBeenCalled();
    jest.advanceTimersByTime(100);
    expect(kept).toHaveBeenCalledTimes(1);
    expect(cancelled).not.toHaveBeenCalled();
  });

  it('cuts a delay that Node would answer at once, and takes one that is past as due', () => {
    const set = jest.spyOn(globalThis, 'setTimeout');
    for (const delayMs of [30 * 86_400_000, Number.POSITIVE_INFINITY, -5]) clock.after(delayMs, () => undefined).cancel();
    expect(set.mock.calls.map(([, delayMs]) => delayMs)).toEqual([2 ** 31 - 1, 2 ** 31 - 1, 0]);
    set.mockRestore();
  });

  it('keeps the process alive only where it is asked to', () => {
    const set = jest.spyOn(globalThis, 'setTimeout');
    const timers = [clock.after(1_000, () => undefined), clock.after(1_000, () => undefined, true)];
    expect(set.mock.results.map(({ value }) => (value as NodeJS.Timeout).hasRef())).toEqual([false, true]);
    for (const timer of timers) timer.cancel();
    set.mockRestore();
  });
});
