import { describe, expect, it } from '@jest/globals';
import { DatabaseOutage } from '../../../lib/engines/local/storage/database-outage.service.js';
import { RetentionRequests } from '../../../lib/engines/local/projection/retention-requests.js';
import { FakeClock, settle } from '../../support/clock/fake-clock.js';

function setUp() {
  const clock = new FakeClock();
  const lines: string[] = [];
  const say =
    (level: string) =>
    (text: unknown): void =>
      void lines.push(`${level}: ${String(text)}`);
  const outage = new DatabaseOutage(clock, { log: say('log'), warn: say('warn'), error: say('error') });
  return { clock, lines, outage };
}

describe('An outage of the database', () => {
  it('is one warning when it begins, one a minute, and one line when it is over, whoever notices it', async () => {
    const { clock, lines, outage } = setUp();
    for (let second = 0; second < 150; second++) {
      outage.away('start', 'ECONNREFUSED');
      if (second > 5) outage.away('flush', 'ECONNREFUSED');
      if (second === 20) outage.away('reads', 'it neither answers nor refuses.');
      await clock.run(1_000);
    }
    outage.back('reads');
    outage.back('start');
    outage.back('flush');
    outage.back('flush');
    await clock.run(600_000);
    expect(lines.map((line) => line.slice(0, line.indexOf(' ', 12)))).toEqual([
      'warn: The database',
      'warn: The database',
      'warn: The database',
      'log: The database',
    ]);
    expect(lines[0]).toContain('ECONNREFUSED. New tasks are kept');
    expect(lines[1]).toContain('for 60 s');
    expect(lines[3]).toContain('back after 150 s');
    expect(clock.timers).toBe(0);
  });

  it('that is a second one is told of anew, and none is told of after the end', async () => {
    const { clock, lines, outage } = setUp();
    outage.away('flush', 'x');
    outage.back('flush');
    outage.away('flush', 'y');
    expect(lines).toHaveLength(3);
    outage.stop();
    await clock.run(600_000);
    expect(lines).toHaveLength(3);
  });
});

describe('The deletion of old segments', () => {
  it('that comes due while another one runs is made up when that one ends', async () => {
    const ends: (() => void)[] = [];
    const log = { retain: () => new Promise<void>((resolve) => ends.push(resolve)) };
    const retention = new RetentionRequests('log', log, { confirmedCursor: async () => null }, () => undefined);
    retention.wroteIn(1);
    retention.applied(0);
    retention.wroteIn(10);
    retention.applied(9); // while it runs; nothing more comes after that
    expect(ends).toHaveLength(1);
    ends[0]!();
    await settle();
    expect(ends).toHaveLength(2);
    ends[1]!();
    await retention.settled();
    expect(ends).toHaveLength(2);
  });

  it('that fails is tried again with the next batch, not at once, and told of once', async () => {
    let tries = 0;
    const told: unknown[] = [];
    const log = {
      retain: async () => {
        tries++;
        throw new Error('away');
      },
    };
    const retention = new RetentionRequests('log', log, { confirmedCursor: async () => null }, (error) => told.push(error));
    retention.wroteIn(1);
    for (let seq = 0; seq < 5; seq++) {
      retention.applied(seq);
      await settle();
    }
    expect([tries, told.length]).toEqual([5, 1]);
  });
});
