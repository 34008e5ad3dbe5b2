import { randomBytes, randomUUID } from 'node:crypto';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import pg from 'pg';
import type { RepositoryOptions } from '../../../lib/config/repository.options.js';
import { TypeOrmProjector } from '../../../lib/engines/local/storage/typeorm-projector.js';
import { TypeOrmTaskStore } from '../../../lib/engines/local/storage/typeorm-task-store.js';
import { SystemClock } from '../../../lib/primitives/system-clock.js';
import { isSilence } from '../../../lib/repository/answer-limit.js';
import { databaseTarget } from '../../../lib/repository/database-target.js';
import { DatabaseConnection } from '../../../lib/repository/database.connection.js';
import { EntryScript } from '../../support/database/entry-script.js';
import { FakeClock } from '../../support/clock/fake-clock.js';
import { noBouncer, startBouncer } from '../../support/database/pgbouncer.js';
import { SilentProxy } from '../../support/database/silent-proxy.js';
import { eventually } from '../../support/clock/patience.js';
import { ensureFile, onServer, postgresDatabase, postgresUrl, type TestDatabase } from '../../support/database/test-databases.js';

const skipped = postgresUrl() === undefined ? ` (SKIPPED: ${process.env['TASKFLOW_TEST_PG_SKIPPED'] ?? 'no server'})` : '';
const toClose: (() => Promise<unknown>)[] = [];
const report = { keyConflict: () => undefined, quarantined: () => undefined };

function storeOn(options: object, clock: SystemClock | FakeClock): TypeOrmTaskStore {
  const store = new TypeOrmTaskStore(databaseTarget(options as RepositoryOptions), { clock, ensureFile, sharesProcessWithLog: true });
  toClose.push(() => store.close());
  return store;
}

function projectorOn(options: object, clock: SystemClock | FakeClock): TypeOrmProjector {
  const ports = { clock, ensureFile, sharesProcessWithLog: true };
  const projector = new TypeOrmProjector(new DatabaseConnection(databaseTarget(options as RepositoryOptions), 'writer', ports), report);
  toClose.push(() => projector.close());
  return projector;
}

const failureOf = (work: Promise<unknown>): Promise<unknown> =>
  work.then(
    () => undefined,
    (error: unknown) => error,
  );

(skipped === '' ? describe : describe.skip)(`A PostgreSQL that neither answers nor fails${skipped}`, () => {
  let database: TestDatabase;
  let proxy: SilentProxy;
  let through: object;
  let clock: FakeClock;

  beforeAll(async () => {
    database = await postgresDatabase();
  });
  beforeEach(async () => {
    const { host, port } = database.options as unknown as { host: string; port: number };
    proxy = await SilentProxy.to(host, port === 0 ? 5432 : port);
    // The pool itself would end them after a while.
    through = { ...database.options, host: '127.0.0.1', port: proxy.port, extra: { idleTimeoutMillis: 0 } };
    clock = new FakeClock();
  });
  afterEach(async () => {
    proxy.heal();
    const closed = Promise.all(toClose.splice(0).map((close) => close()));
    await clock.run(20_000);
    await closed;
    proxy.close();
  });
  afterAll(async () => {
    await database?.drop();
  });
  const swallowed = (more: number): Promise<number> =>
    eventually(
      () => proxy.swallowed,
      (n) => n >= more,
    );

  it('has its reads refused in time, and is read again over new connections', async () => {
    const store = storeOn(through, clock);
    await store.open();
    await Promise.all([store.cursor('log'), store.cursor('log'), store.cursor('log')]);
    const before = proxy.taken;
    proxy.silence();
    const asked = [
      store.cursor('log'),
      store.findByIds([randomUUID()]),
      store.healthCheck().then((is) => !is && Promise.reject(new Error('unhealthy'))),
    ];
    const failed = Promise.all(asked.map(failureOf));
    await swallowed(3);
    await clock.run(10_000); // of the callers
    const failures = await failed;
    expect(isSilence(failures[0])).toBe(true);
    expect(isSilence(failures[1])).toBe(true);
    expect(failures[2]).toBeInstanceOf(Error);
    expect(store.isSilent).toBe(true);
    await clock.run(2_000); // of the connections
    await eventually(
      () => proxy.open,
      (open) => open === 0,
    );
    proxy.heal();
    expect(await store.cursor('log')).toBeNull();
    expect(store.isSilent).toBe(false);
    expect(proxy.taken).toBeGreaterThan(before);
  });

  it('is left in the middle of a batch; the batch is then applied once, over a new connection', async () => {
    const projector = projectorOn(through, clock);
    await projector.open();
    const script = new EntryScript();
    const { taskId } = script.created(randomUUID());
    const { cursor } = await projector.apply(script.batch(null));
    proxy.silence();
    script.add('start', taskId);
    script.complete(taskId);
    const failed = failureOf(projector.apply(script.batch(cursor)));
    await swallowed(1);
    await clock.run(20_000);
    expect(isSilence(await failed)).toBe(true);
    await eventually(
      () => proxy.open,
      (open) => open === 0,
    );
    proxy.heal();
    expect(await projector.cursor(script.logId)).toEqual(cursor);
    await projector.apply(script.batch(cursor));
    const store = storeOn(database.options, clock);
    await store.open();
    expect((await store.entriesAfter(taskId, 0, 10)).map(({ taskSeq }) => taskSeq)).toEqual([1, 2, 3, 4]);
  });

  it('that takes the connection and never says hello does not hold up a start', async () => {
    proxy.silence();
    const store = storeOn(through, clock);
    const failed = failureOf(store.open());
    await swallowed(1);
    await clock.run(15_000);
    expect(isSilence(await failed)).toBe(true);
    expect(store.isOpen).toBe(false);
    await eventually(
      () => proxy.open,
      (open) => open === 0,
    );
    proxy.heal();
    await store.open();
    expect(await store.cursor('log')).toBeNull();
  });

  it('does not hold up a stop, and leaves no connection behind', async () => {
    const store = storeOn(through, clock);
    await store.open();
    proxy.silence();
    void store.cursor('log').catch(() => undefined);
    await swallowed(1);
    const closed = store.close();
    await clock.run(20_000);
    await closed;
    await eventually(
      () => proxy.open,
      (open) => open === 0,
    );
  });

  it('is told from one whose tables are locked: that one is refused by the server, and keeps its connections', async () => {
    const options = { ...database.options, extra: { statement_timeout: 200 } };
    const [store, projector] = [storeOn(options, new SystemClock()), projectorOn(options, new SystemClock())];
    await Promise.all([store.open(), projector.open()]);
    const url = new URL(postgresUrl()!);
    url.pathname = `/${String(database.options['database'])}`;
    const holder = new pg.Client({ connectionString: url.toString() });
    await holder.connect();
    const pids = async (): Promise<unknown[]> =>
      (
        await holder.query(
          `SELECT pid FROM pg_stat_activity WHERE application_name LIKE 'nestjs-taskflow %' AND datname = current_database() ORDER BY pid`,
        )
      ).rows;
    try {
      await store.cursor('log');
      const before = await pids();
      await holder.query('BEGIN; LOCK TABLE taskflow_tasks, taskflow_cursor IN ACCESS EXCLUSIVE MODE');
      const script = new EntryScript();
      script.created(randomUUID());
      const failures = [await failureOf(store.findByIds([randomUUID()])), await failureOf(projector.apply(script.batch(null)))];
      expect(failures).toMatchObject([{ code: 'UNAVAILABLE' }, { code: 'UNAVAILABLE' }]);
      expect(failures.map(isSilence)).toEqual([false, false]);
      expect([store.isSilent, await pids()]).toEqual([false, before]);
      await holder.query('COMMIT');
      await projector.apply(script.batch(null));
    } finally {
      await holder.end();
    }
  });

  it('with a role of two connections is written, read and confirmed', async () => {
    const role = `few_${randomBytes(4).toString('hex')}`;
    await onServer(
      `CREATE ROLE ${role} LOGIN PASSWORD 'few' CONNECTION LIMIT 2; GRANT ALL ON DATABASE ${String(database.options['database'])} TO ${role}`,
    );
    const options = { ...database.options, username: role, password: 'few', schema: role };
    const real = new SystemClock();
    const [store, projector] = [storeOn(options, real), projectorOn(options, real)];
    try {
      await store.open();
      await projector.open();
      const script = new EntryScript();
      const { taskId } = script.created(randomUUID());
      const reads = Promise.all(Array.from({ length: 8 }, () => store.findByIds([taskId])));
      await projector.apply(script.batch(null));
      await reads;
      expect(await store.confirmedCursor(script.logId)).toEqual(script.cursorAt(1));
      expect((await store.findByIds([taskId])).size).toBe(1);
    } finally {
      for (const close of toClose.splice(0)) await close();
      const url = new URL(postgresUrl()!);
      url.pathname = `/${String(database.options['database'])}`;
      await onServer(
        `DROP SCHEMA IF EXISTS ${role} CASCADE; REVOKE ALL ON DATABASE ${String(database.options['database'])} FROM ${role}; DROP ROLE ${role}`,
        url.toString(),
      );
    }
  });
});

const without = noBouncer();
(without === undefined ? describe : describe.skip)(
  `pgbouncer in transaction mode, with its defaults${without === undefined ? '' : ` (SKIPPED: ${without})`}`,
  () => {
    it('is written through and read through, and limits what waits for a lock', async () => {
      const database = await postgresDatabase();
      const bouncer = await startBouncer(String(database.options['database']));
      const options = { ...database.options, host: '127.0.0.1', port: bouncer.port, extra: { statement_timeout: 300 } };
      const real = new SystemClock();
      const [store, projector] = [storeOn(options, real), projectorOn(options, real)];
      const url = new URL(postgresUrl()!);
      url.pathname = `/${String(database.options['database'])}`;
      const holder = new pg.Client({ connectionString: url.toString() });
      await holder.connect();
      try {
        await Promise.all([store.open(), projector.open()]);
        const script = new EntryScript();
        const { taskId } = script.created(randomUUID());
        await projector.apply(script.batch(null));
        expect((await store.findByIds([taskId])).size).toBe(1);
        expect(await store.confirmedCursor(script.logId)).toEqual(script.cursorAt(1));
        await holder.query('BEGIN; LOCK TABLE taskflow_tasks, taskflow_cursor IN ACCESS EXCLUSIVE MODE');
        script.add('start', taskId);
        const failures = [await failureOf(store.findByIds([taskId])), await failureOf(projector.apply(script.batch(script.cursorAt(1))))];
        expect(failures.map(isSilence)).toEqual([false, false]);
        expect(failures).toMatchObject([{ code: 'UNAVAILABLE' }, { code: 'UNAVAILABLE' }]);
        await holder.query('COMMIT');
        await projector.apply(script.batch(script.cursorAt(1)));
        expect((await store.findByIds([taskId])).get(taskId)!.status).toBe('running');
      } finally {
        await holder.end();
        for (const close of toClose.splice(0)) await close();
        await bouncer.stop();
        await database.drop();
      }
    });
  },
);
