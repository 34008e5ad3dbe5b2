import { describe, expect, it } from '@jest/globals';
import { QueryFailedError } from 'typeorm';
import { taskId } from '../../../lib/contracts/ids.js';
import { retryWhileBusy } from '../../../lib/repository/busy-retry.js';
import { isConnectionError, isDataError, unavailable } from '../../../lib/repository/database-errors.js';
import { POSTGRES } from '../../../lib/repository/dialect.js';
import { entryOfLine, eventBody, lineOf } from '../../../lib/engines/local/storage/log-line.js';
import { StatementGate } from '../../../lib/repository/statement-gate.js';
import { EntryScript } from '../../support/database/entry-script.js';
import { FakeClock } from '../../support/clock/fake-clock.js';

const driverError = (code: string, message: string): Error => Object.assign(new Error(message), { code });
const failed = (code: string, message: string): QueryFailedError =>
  new QueryFailedError('INSERT', ['secret-parameter'], driverError(code, message));

describe('Database errors', () => {
  it('are about the row, or not', () => {
    for (const code of ['22021', '23502', '23505', 'SQLITE_CONSTRAINT', 'SQLITE_TOOBIG']) expect(isDataError(failed(code, ''))).toBe(true);
    for (const code of ['40001', '42P01', '53300', '57P01', '28P01', '08006', 'SQLITE_BUSY', 'SQLITE_FULL', 'SQLITE_IOERR', 'ECONNRESET']) {
      expect(isDataError(failed(code, ''))).toBe(false);
    }
    expect(isConnectionError(new Error('Connection terminated unexpectedly'))).toBe(true);
    expect(isConnectionError(failed('57P01', ''))).toBe(true);
  });

  it('never carry values of the statement', () => {
    const error = unavailable(failed('22P02', 'invalid input syntax for type bigint: "secret-value"'), 'db');
    const everything = `${error.message} ${error.stack} ${String((error.cause as Error).stack)} ${JSON.stringify(error)} ${JSON.stringify(error.cause)}`;
    expect(everything).not.toMatch(/secret/);
    expect(error.message).toContain('22P02');
    expect(unavailable(driverError('ECONNREFUSED', 'connect ECONNREFUSED 127.0.0.1:1'), 'db').message).toContain('127.0.0.1:1');
  });
});

describe('StatementGate', () => {
  it('lets so many in at once, the others in the order they came', async () => {
    const gate = new StatementGate(2);
    const order: number[] = [];
    let [inside, most] = [0, 0];
    const statement = (n: number): Promise<void> =>
      gate.pass(async () => {
        order.push(n);
        most = Math.max(most, ++inside);
        await new Promise((resolve) => setImmediate(resolve));
        inside--;
        if (n === 3) throw new Error('fails');
      });
    const outcomes = await Promise.allSettled([0, 1, 2, 3, 4, 5].map(statement));
    expect([order, most, outcomes.filter((one) => one.status === 'rejected').length]).toEqual([[0, 1, 2, 3, 4, 5], 2, 1]);
    await statement(6);
    expect(inside).toBe(0);
  });
});

describe('A busy SQLite', () => {
  it('is asked again for two seconds, then not', async () => {
    const clock = new FakeClock();
    let asked = 0;
    const outcome = retryWhileBusy(clock, async () => {
      asked++;
      throw driverError('SQLITE_BUSY', 'database is locked');
    }).catch((error: unknown) => error);
    await clock.run(1_900);
    const before = asked;
    await clock.run(1_000);
    expect(before).toBeGreaterThan(10);
    expect(await outcome).toMatchObject({ code: 'SQLITE_BUSY' });
    expect(clock.timers).toBe(0);
    await expect(retryWhileBusy(clock, () => Promise.reject(new Error('other')))).rejects.toThrow('other');
  });
});

describe('A dead entry', () => {
  it('is the line of the log, and comes back as it was', () => {
    const script = new EntryScript();
    const entries = [
      script.created('t', { key: 'k' }),
      script.add('start', 't'),
      script.add('heartbeat', 't'),
      script.add('progress', 't', { payload: '\u0000' }),
    ];
    for (const entry of entries) expect(entryOfLine(lineOf(entry))).toEqual(entry);
    expect(lineOf(entries[1]!)).toBe(`{"s":2,"e":"start","t":"t","q":2,"at":${entries[1]!.at},"a":1,"f":1,"o":"owner-1"}`);
    expect(eventBody({ type: 'created', data: { input: 1, name: 'n' } })).toBe('{"name":"n"}');
    expect(taskId('t')).toBe(entries[0]!.taskId);
  });
});

describe('PostgreSQL', () => {
  it('numbers parameters', () => expect(POSTGRES.text('a = ? AND (b, c) < (?, ?)')).toBe('a = $1 AND (b, c) < ($2, $3)'));
});
