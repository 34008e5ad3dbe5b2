import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { isSilence } from '../../../lib/repository/answer-limit.js';
import { databaseTarget } from '../../../lib/repository/database-target.js';
import { DatabaseConnection } from '../../../lib/repository/database.connection.js';
import type { DatabaseRole } from '../../../lib/repository/repository.ports.js';
import { FakeClock } from '../../support/clock/fake-clock.js';
import { ScriptedPostgres } from './scripted-postgres.js';
import { SilentProxy } from '../../support/database/silent-proxy.js';
import { eventually } from '../../support/clock/patience.js';

/** What TypeORM and we ask while connecting; every other statement is answered with its own text. */
const rowFor = (sql: string): Record<string, string> => {
  if (/version\(\)/i.test(sql)) return { version: 'PostgreSQL 16.3 on x86_64-pc-linux-gnu' };
  if (/server_encoding/.test(sql)) return { name: 'tasks', encoding: 'UTF8' };
  if (/statement_timeout/.test(sql)) return { limit: '8s' };
  return { asked: sql };
};

describe('The connection to a server that fell silent', () => {
  let server: ScriptedPostgres;
  let proxy: SilentProxy;
  let clock: FakeClock;
  let connection: DatabaseConnection;

  beforeEach(async () => {
    server = await ScriptedPostgres.start(rowFor);
    proxy = await SilentProxy.to('127.0.0.1', server.port);
    clock = new FakeClock();
  });
  function connect(role: DatabaseRole): void {
    const target = databaseTarget({ type: 'postgres', host: '127.0.0.1', port: proxy.port, username: 'app', database: 'tasks' });
    connection = new DatabaseConnection(target, role, { clock, ensureFile: async () => undefined, sharesProcessWithLog: true });
  }
  afterEach(async () => {
    proxy.heal();
    const closed = connection.close();
    await clock.run(20_000);
    await closed;
    proxy.close();
    server.close();
  });

  it('is left, and closed; the next statement goes over a new one', async () => {
    connect('confirm');
    await connection.open();
    expect(await connection.rows('SELECT 1')).toEqual([{ asked: 'SELECT 1' }]);
    const { taken } = proxy;
    proxy.silence();
    const failed = connection.rows('SELECT 2').catch((error: unknown) => error);
    await eventually(
      () => proxy.swallowed,
      (swallowed) => swallowed > 0,
    );
    expect(connection.isOpen).toBe(true);
    await clock.run(11_000);
    expect(isSilence(await failed)).toBe(true);
    expect(connection.isOpen).toBe(false);
    await eventually(
      () => proxy.open,
      (open) => open === 0,
    );
    proxy.heal();
    expect(await connection.rows('SELECT 3')).toEqual([{ asked: 'SELECT 3' }]);
    expect(proxy.taken).toBe(taken + 1);
    expect(server.statements).not.toContain('SELECT 2');
  });

  it('is closed at a stop, also while it is migrated, and keeps no process alive', async () => {
    connect('writer');
    const opened = connection.open().catch((error: unknown) => error);
    const isMigrating = (): boolean => server.statements.some((sql) => sql.startsWith('BEGIN') || sql.startsWith('START'));
    await eventually(isMigrating, (is) => is);
    proxy.silence();
    const closed = connection.close();
    await clock.run(6_000);
    await closed;
    expect(await opened).toBeInstanceOf(Error);
    await eventually(
      () => proxy.open,
      (open) => open === 0,
    );
    expect(clock.holding).toBe(0);
  });
});
