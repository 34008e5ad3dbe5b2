import { randomBytes, randomUUID } from 'node:crypto';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { DataSource } from 'typeorm';
import type { RepositoryOptions } from '../../../lib/config/repository.options.js';
import { RepositoryError } from '../../../lib/errors/storage.errors.js';
import { SystemClock } from '../../../lib/primitives/system-clock.js';
import { DatabaseConnection } from '../../../lib/repository/database.connection.js';
import { databaseTarget } from '../../../lib/repository/database-target.js';
import { TASKFLOW_SCHEMA } from '../../../lib/repository/migrations/taskflow.migrations.js';
import { TASKFLOW_ENTITIES } from '../../../lib/repository/taskflow.entities.js';
import { TypeOrmProjector } from '../../../lib/engines/local/storage/typeorm-projector.js';
import { TypeOrmTaskStore } from '../../../lib/engines/local/storage/typeorm-task-store.js';
import { EntryScript } from '../../support/database/entry-script.js';
import { ensureFile, onServer, postgresDatabase, postgresUrl, type TestDatabase } from '../../support/database/test-databases.js';

const skipped = postgresUrl() === undefined;

(skipped ? describe.skip : describe)(
  `PostgreSQL connections${skipped ? ` (SKIPPED: ${process.env['TASKFLOW_TEST_PG_SKIPPED'] ?? 'no server'})` : ''}`,
  () => {
    let database: TestDatabase;
    const toClose: (() => Promise<unknown>)[] = [];
    const ports = { clock: new SystemClock(), ensureFile, sharesProcessWithLog: true };
    const storeOf = (options: object): TypeOrmTaskStore => {
      const made = new TypeOrmTaskStore(databaseTarget(options as RepositoryOptions), ports);
      toClose.push(() => made.close());
      return made;
    };
    const projectorOf = (options: object): TypeOrmProjector => {
      const connection = new DatabaseConnection(databaseTarget(options as RepositoryOptions), 'writer', ports);
      const made = new TypeOrmProjector(connection, { keyConflict: () => undefined, quarantined: () => undefined });
      toClose.push(() => made.close());
      return made;
    };
    const codeOf = (work: Promise<unknown>): Promise<unknown> =>
      work.then(
        () => 'no error',
        (error: unknown) => (RepositoryError.is(error) ? error.code : error),
      );
    const databaseUrl = (): string => {
      const url = new URL(postgresUrl()!);
      url.pathname = `/${String(database.options['database'])}`;
      return url.toString();
    };

    beforeAll(async () => {
      database = await postgresDatabase();
    });
    afterEach(async () => {
      for (const close of toClose.splice(0).reverse()) await close();
    });
    afterAll(async () => {
      await database?.drop();
    });

    it('migrate once when many start together, in a schema of their own too', async () => {
      const options = { ...database.options, schema: 'jobs' };
      const outcomes = await Promise.allSettled(Array.from({ length: 5 }, () => storeOf(options).open()));
      expect(outcomes.map((outcome) => outcome.status)).toEqual(Array(5).fill('fulfilled'));
      const writer = projectorOf(options);
      await writer.open();
      const script = new EntryScript();
      const id = randomUUID();
      script.created(id);
      await writer.apply(script.batch(null));
      const store = storeOf(options);
      await store.open();
      expect((await store.findByIds([id])).size).toBe(1);
      expect(await store.confirmedCursor(script.logId)).toEqual(script.cursorAt(1));
      const host = await new DataSource({ type: 'postgres', url: databaseUrl() }).initialize();
      toClose.push(() => host.destroy());
      expect(await host.query('SELECT count(*)::int AS n FROM jobs.taskflow_migrations')).toEqual([
        { n: TASKFLOW_SCHEMA.migrations.length },
      ]);
      expect(await host.query(`SELECT to_regclass('public.taskflow_tasks') AS t`)).toEqual([{ t: null }]);
    });

    it.each(['LATIN1', 'WIN1252', 'SQL_ASCII'])(
      'refuse a database in %s by name, with the remedy, and leave nothing in it: it cannot hold every text',
      async (encoding) => {
        const name = `taskflow_encoding_${randomBytes(4).toString('hex')}`;
        await onServer(`CREATE DATABASE ${name} ENCODING '${encoding}' TEMPLATE template0 LC_COLLATE 'C' LC_CTYPE 'C'`);
        try {
          const options = { ...database.options, database: name };
          for (const open of [() => storeOf(options).open(), () => projectorOf(options).open()]) {
            const error: unknown = await open().catch((reason: unknown) => reason);
            expect(error).toMatchObject({ name: 'RepositoryError', code: 'NOT_SUPPORTED' });
            const { message } = error as Error;
            for (const part of [`"${name}"`, encoding, "ENCODING 'UTF8' TEMPLATE template0"]) expect(message).toContain(part);
          }
          const url = new URL(postgresUrl()!);
          url.pathname = `/${name}`;
          const host = await new DataSource({ type: 'postgres', url: url.toString() }).initialize();
          expect(await host.query(`SELECT to_regclass('taskflow_tasks') AS t`)).toEqual([{ t: null }]);
          await host.destroy();
        } finally {
          await onServer(`DROP DATABASE ${name} WITH (FORCE)`);
        }
      },
    );

    it('delete a task whose events are too many for the time limit of a statement, in pieces that fit', async () => {
      const options = { ...database.options, schema: 'slow_deletions', extra: { statement_timeout: 400 } };
      const writer = projectorOf(options);
      await writer.open();
      const script = new EntryScript();
      const { taskId } = script.created(randomUUID());
      script.add('start', taskId);
      for (let n = 0; n < 150; n++) script.add('progress', taskId);
      script.complete(taskId);
      const { cursor } = await writer.apply(script.batch(null));
      await onServer(
        `CREATE FUNCTION slow_deletions.slowly() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(0.005); RETURN OLD; END $$;
         CREATE TRIGGER slowly BEFORE DELETE ON slow_deletions.taskflow_events FOR EACH ROW EXECUTE FUNCTION slow_deletions.slowly()`,
        databaseUrl(),
      );
      script.add('pruned', taskId);
      await writer.apply(script.batch(cursor));
      const store = storeOf(options);
      await store.open();
      expect((await store.findByIds([taskId])).size).toBe(0);
      expect(await store.entriesAfter(taskId, 0, 10)).toEqual([]);
    });

    it('have the tables that the entities describe, and text, never jsonb', async () => {
      await storeOf(database.options).open();
      const host = await new DataSource({ type: 'postgres', url: databaseUrl(), entities: [...TASKFLOW_ENTITIES] }).initialize();
      toClose.push(() => host.destroy());
      const changes = (await host.driver.createSchemaBuilder().log()).upQueries.map((query) => query.query);
      expect(changes).toEqual([]);
      const types = await host.query<{ t: string }[]>(
        `SELECT DISTINCT data_type AS t FROM information_schema.columns WHERE table_name LIKE 'taskflow%' ORDER BY 1`,
      );
      expect(types.map((row) => row.t)).not.toContain('jsonb');
    });

    it('report a lost connection, and connect again', async () => {
      const store = storeOf(database.options);
      await store.open();
      expect(await store.healthCheck()).toBe(true);
      const name = String(database.options['database']);
      await onServer(`ALTER DATABASE ${name} ALLOW_CONNECTIONS false`);
      try {
        await onServer(`SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE datname = '${name}'`);
        expect(await codeOf(store.cursor('log'))).toBe('UNAVAILABLE');
        expect(await store.healthCheck()).toBe(false);
      } finally {
        await onServer(`ALTER DATABASE ${name} ALLOW_CONNECTIONS true`);
      }
      expect(await store.cursor('log')).toBeNull();
    });

    it('read again where the server ended the connection meanwhile, and do not write again', async () => {
      const connection = new DatabaseConnection(databaseTarget(database.options as RepositoryOptions), 'writer', ports);
      toClose.push(() => connection.close());
      await connection.open();
      await connection.run('CREATE SEQUENCE tries');
      // Ends its own connection at every first try; a sequence counts on whatever becomes of its transaction.
      const deadly = `SELECT CASE WHEN nextval('tries') % 2 = 1 THEN pg_terminate_backend(pg_backend_pid()) END AS ended`;
      expect(await connection.rows(deadly)).toEqual([{ ended: null }]);
      expect(await connection.rows('SELECT last_value::int AS tries FROM tries')).toEqual([{ tries: 2 }]);
      await expect(connection.run(deadly)).rejects.toThrow(/terminat/);
      expect(await connection.rows('SELECT last_value::int AS tries FROM tries')).toEqual([{ tries: 3 }]);
    });

    it('fail to open with UNAVAILABLE where nobody listens', async () => {
      expect(await codeOf(storeOf({ ...database.options, port: 1 }).open())).toBe('UNAVAILABLE');
    });

    it('set aside what PostgreSQL cannot store, down to a task id', async () => {
      const writer = projectorOf(database.options);
      const store = storeOf(database.options);
      await Promise.all([writer.open(), store.open()]);
      const script = new EntryScript();
      const [good, badName] = [randomUUID(), randomUUID()];
      script.created(good);
      script.created(badName, { name: 'with\u0000nul' });
      script.created('id\u0000nul');
      script.add('progress', good, { payload: '\u0000 is fine in JSON' });
      const applied = await writer.apply(script.batch(null));
      expect(applied.quarantined).toBe(2);
      expect([...(await store.findByIds([good, badName])).keys()].sort()).toEqual([good, badName].sort()); // reads count dead entries in
      expect(await store.deadEntryCount(script.logId)).toBe(2);
      expect(JSON.parse((await store.entriesAfter(good, 1, 10))[0]!.body)).toEqual({ payload: '\u0000 is fine in JSON' });
      script.add('progress', badName, { payload: 'later' });
      expect((await writer.apply(script.batch(applied.cursor))).quarantined).toBe(1);
      expect((await store.entriesAfter(badName, 0, 10)).map((entry) => entry.taskSeq)).toEqual([1, 2]);
    });

    it('ask a Lakebase connector for a token once per login, and once more when it was rotated', async () => {
      const role = `lake_${randomBytes(4).toString('hex')}`;
      await onServer(`CREATE ROLE ${role} LOGIN SUPERUSER PASSWORD 'token-1'`);
      let [token, asked] = ['token-1', 0];
      let offered: string | undefined;
      const { host, port } = database.options;
      const connector = {
        host,
        port,
        username: role,
        database: database.options['database'],
        ssl: false,
        extra: { max: 1 },
        password: async (): Promise<string> => {
          asked++;
          const given = offered ?? token;
          offered = undefined;
          return given;
        },
      };
      const store = storeOf({ type: 'lakebase', connector });
      try {
        await store.open();
        await store.cursor('log');
        await Promise.all([store.cursor('log'), store.cursor('log'), store.healthCheck()]);
        expect(asked).toBe(1);
        token = 'token-2';
        await onServer(`ALTER ROLE ${role} PASSWORD 'token-2'`);
        expect(await store.cursor('log')).toBeNull(); // logged in before: goes on
        expect(asked).toBe(1);
        offered = 'token-1'; // a stale one from a cache, at the next login
        await onServer(`SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE usename = '${role}'`);
        await store.cursor('log').catch(() => undefined); // meets the dead connection, unless the pool has heard of it
        expect(await store.cursor('log')).toBeNull();
        expect(offered).toBeUndefined();
        expect(asked).toBe(3);
      } finally {
        await store.close();
        await onServer(`DROP ROLE ${role}`);
      }
    });
  },
);
