import { describe, expect, it } from '@jest/globals';
import { RepositoryError } from '../../../lib/errors/storage.errors.js';
import { AppliedWaiters } from '../../../lib/engines/local/projection/applied-waiters.js';
import { checkCursor } from '../../../lib/engines/local/projection/cursor-check.js';
import { FlushLag } from '../../../lib/engines/local/projection/flush-lag.js';
import { RetentionRequests } from '../../../lib/engines/local/projection/retention-requests.js';
import { FakeClock, settle } from '../../support/clock/fake-clock.js';

describe('checkCursor', () => {
  const log = { logId: 'log-1', gen: 5, firstSeq: 11, lastSeq: 90 };
  const cursor = { logId: 'log-1', gen: 4, appliedSeq: 42, appliedCrc: 'aa', ownerGen: 4 };
  const mark = { gen: 4, lastSeq: 42, crc: 'aa' };

  it.each([
    ['the frame is there', log, cursor, mark],
    ['nothing was flushed and the log starts at 1', { ...log, firstSeq: 1 }, null, undefined],
    ['nothing was flushed and the log is new', { ...log, firstSeq: 1, lastSeq: 0 }, null, undefined],
  ])('lets log and database go on together when %s', (_, position, stored, found) => {
    expect(() => checkCursor(position, stored, found, 'x.log')).not.toThrow();
  });

  it.each([
    ['another CRC', cursor, { ...mark, crc: 'bb' }],
    ['another generation', cursor, { ...mark, gen: 3 }],
    ['a cursor within a frame', cursor, { ...mark, lastSeq: 43 }],
    ['no such frame', cursor, undefined],
    ['no row beside a log that starts later', null, undefined],
    ['a row that a later opening of the log wrote', { ...cursor, ownerGen: 6 }, mark],
  ])('refuses %s, naming both positions and the repair command', (_, stored, found) => {
    const refusal = (() => {
      try {
        checkCursor(log, stored, found, './.taskflow/events.log');
      } catch (error) {
        return error;
      }
      return undefined;
    })();
    expect(RepositoryError.is(refusal) && refusal.code).toBe('HISTORY_MISMATCH');
    const { message } = refusal as Error;
    expect(message).toContain(stored === null ? 'holds nothing of this log' : 'up to entry 42 (generation 4, CRC aa)');
    expect(message).toContain('entries 11 to 90');
    expect(message).toContain('npx taskflow log repair ./.taskflow/events.log');
  });
});

describe('FlushLag', () => {
  it('is the age of the oldest entry that the database lacks', () => {
    const lag = new FlushLag();
    lag.begin(0, undefined);
    lag.durable(10, 1000);
    lag.durable(20, 2000);
    expect(lag.lagMs(5000)).toBe(4000);
    lag.applied(9);
    expect(lag.lagMs(5000)).toBe(4000);
    lag.applied(10);
    expect(lag.lagMs(5000)).toBe(3000);
    lag.applied(20);
    expect(lag.lagMs(5000)).toBe(0);
  });

  it('counts what the last process left', () => {
    const lag = new FlushLag();
    lag.begin(50, 900);
    lag.backlogSince(100);
    lag.durable(60, 1000);
    expect(lag.lagMs(1000)).toBe(900);
    lag.applied(50);
    expect(lag.lagMs(1100)).toBe(100);
  });

  it('needs no more memory for a long outage, and never answers too little', () => {
    const lag = new FlushLag();
    lag.begin(0, undefined);
    for (let seq = 1; seq <= 100_000; seq++) lag.durable(seq, seq * 100);
    const now = 100_000 * 100;
    for (const applied of [0, 1, 777, 50_000, 99_000, 99_990]) {
      lag.applied(applied);
      const truth = now - (applied + 1) * 100;
      expect(lag.lagMs(now)).toBeGreaterThanOrEqual(truth);
      expect(lag.lagMs(now)).toBeLessThanOrEqual(truth + 100_000);
    }
  });
});

describe('RetentionRequests', () => {
  function setUp() {
    const asked: number[] = [];
    const errors: unknown[] = [];
    let stored = 0;
    let fault: Error | undefined;
    const log = {
      retain: async (confirm: () => Promise<number>) => {
        if (fault !== undefined) throw fault;
        asked.push(await confirm());
      },
    };
    const store = { confirmedCursor: async () => ({ logId: 'l', gen: 1, appliedSeq: stored, appliedCrc: '0', ownerGen: 1 }) };
    const retention = new RetentionRequests('l', log, store, (error) => errors.push(error));
    const applied = async (seq: number) => {
      stored = seq;
      retention.applied(seq);
      await settle();
    };
    return { asked, errors, retention, applied, breakWith: (error: Error | undefined) => (fault = error) };
  }

  it('asks the log once at the start and then only when the database came past the end of a segment', async () => {
    const { asked, retention, applied } = setUp();
    retention.wroteIn(1);
    await applied(5);
    await applied(6);
    retention.wroteIn(11);
    await applied(9);
    expect(asked).toEqual([5]);
    await applied(10);
    await applied(11);
    expect(asked).toEqual([5, 10]);
  });

  it('asks again after a failure, with what the database confirms then; the first failure in a row is told', async () => {
    const { asked, errors, retention, applied, breakWith } = setUp();
    breakWith(new Error('database is away'));
    await applied(5);
    await applied(6);
    expect(errors).toHaveLength(1);
    breakWith(undefined);
    await applied(7);
    expect(asked).toEqual([7]);
    breakWith(new Error('database is away again'));
    retention.wroteIn(8);
    await applied(8);
    expect(errors).toHaveLength(2);
  });
});

describe('AppliedWaiters', () => {
  it('answers true when the entry is applied, false when the time is over or flushing ended', async () => {
    const clock = new FakeClock();
    const waiters = new AppliedWaiters(clock);
    const answers = [waiters.reached(5, 1000), waiters.reached(9, 1000), waiters.reached(9, 5000)];
    waiters.applied(5);
    clock.advance(1000);
    waiters.giveUp();
    expect(await Promise.all(answers)).toEqual([true, false, false]);
    expect(clock.timers).toBe(0);
  });
});
