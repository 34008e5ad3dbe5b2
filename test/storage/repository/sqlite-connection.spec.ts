import { randomUUID } from 'node:crypto';
import { chmod, mkdir, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { DataSource } from 'typeorm';
import type { RepositoryOptions } from '../../../lib/config/repository.options.js';
import { RepositoryError } from '../../../lib/errors/storage.errors.js';
import { SystemClock } from '../../../lib/primitives/system-clock.js';
import { openDatabase } from '../../../lib/repository/data-source.factory.js';
import { DatabaseConnection } from '../../../lib/repository/database.connection.js';
import { databaseTarget } from '../../../lib/repository/database-target.js';
import { TASKFLOW_SCHEMA } from '../../../lib/repository/migrations/taskflow.migrations.js';
import { TASKFLOW_ENTITIES } from '../../../lib/repository/taskflow.entities.js';
import { TypeOrmProjector } from '../../../lib/engines/local/storage/typeorm-projector.js';
import { TypeOrmTaskStore } from '../../../lib/engines/local/storage/typeorm-task-store.js';
import { EntryScript } from '../../support/database/entry-script.js';
import { FakeClock } from '../../support/clock/fake-clock.js';
import { ensureFile } from '../../support/database/test-databases.js';

describe('SQLite connections of our own', () => {
  let folder: string;
  let file: string;
  const toClose: (() => Promise<unknown>)[] = [];
  const clock = new SystemClock();
  const target = () => databaseTarget({ type: 'sqlite', database: file } as RepositoryOptions);
  const store = (useClock: SystemClock | FakeClock = clock): TypeOrmTaskStore => {
    const made = new TypeOrmTaskStore(target(), { clock: useClock, ensureFile, sharesProcessWithLog: true });
    toClose.push(() => made.close());
    return made;
  };
  const projector = (): TypeOrmProjector => {
    const connection = new DatabaseConnection(target(), 'writer', { clock, ensureFile, sharesProcessWithLog: false });
    const made = new TypeOrmProjector(connection, { keyConflict: () => undefined, quarantined: () => undefined });
    toClose.push(() => made.close());
    return made;
  };
  const hostDataSource = async (): Promise<DataSource> => {
    const host = await new DataSource({ type: 'sqlite', database: file }).initialize();
    toClose.push(() => host.destroy());
    return host;
  };
  const failureOf = async (work: Promise<unknown>): Promise<RepositoryError> => {
    const error = await work.then(
      () => undefined,
      (failure: unknown) => failure,
    );
    expect(RepositoryError.is(error)).toBe(true);
    return error as RepositoryError;
  };

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'taskflow-sqlite-'));
    file = join(folder, 'new', 'folder', 'tasks.db');
  });
  afterEach(async () => {
    for (const close of toClose.splice(0).reverse()) await close();
    await rm(folder, { recursive: true, force: true });
  });

  it.each([
    [true, 50],
    [false, 500],
  ])('are durable and wait briefly: read back (shares the process with the log: %s)', async (sharesProcessWithLog, busyTimeoutMs) => {
    const { dataSource } = await openDatabase(target(), 'reader', { clock, ensureFile, sharesProcessWithLog });
    toClose.push(() => dataSource.destroy());
    const pragma = async (name: string): Promise<unknown> => Object.values((await dataSource.query<object[]>(`PRAGMA ${name}`))[0]!)[0];
    expect([await pragma('journal_mode'), await pragma('synchronous'), await pragma('foreign_keys'), await pragma('busy_timeout')]).toEqual(
      ['wal', 2, 1, busyTimeoutMs],
    );
    expect(await pragma('wal_autocheckpoint')).toBe(4000);
    expect((await stat(dirname(file))).mode & 0o777).toBe(0o700);
  });

  it.each([0o022, 0])(
    'keep what users submitted for the owner of the process alone, whatever its umask (%i) and the folder',
    async (mask) => {
      await mkdir(dirname(file), { recursive: true });
      await chmod(dirname(file), 0o755);
      const before = process.umask(mask);
      try {
        await store().open();
        const modes = await Promise.all(['', '-wal', '-shm'].map(async (end) => (await stat(`${file}${end}`)).mode & 0o777));
        expect(modes).toEqual([0o600, 0o600, 0o600]);
      } finally {
        process.umask(before);
      }
    },
  );

  it('leave a file that was there before readable for those it was opened to', async () => {
    await mkdir(dirname(file), { recursive: true });
    await writeFile(file, '');
    await chmod(file, 0o640);
    await store().open();
    expect((await stat(file)).mode & 0o777).toBe(0o640);
  });

  it('give back the room that the write-ahead log took while a reader of somebody else stayed open', async () => {
    const writer = new DatabaseConnection(target(), 'writer', { clock, ensureFile, sharesProcessWithLog: false });
    toClose.push(() => writer.close());
    await writer.open();
    const reader = await hostDataSource();
    const write = (n: number): Promise<number> =>
      writer.run(`INSERT INTO ${writer.tables.nodes} ("home", "owner", "beat_at") VALUES (?, ?, 1)`, [
        `home-${n}`,
        'x'.repeat(1024 * 1024),
      ]);
    const walMiB = async (): Promise<number> => (await stat(`${file}-wal`)).size / 2 ** 20;
    await reader.query('BEGIN');
    await reader.query('SELECT COUNT(*) FROM taskflow_tasks');
    for (let n = 0; n < 40; n++) await write(n);
    expect(await walMiB()).toBeGreaterThan(39);
    await reader.query('COMMIT');
    for (let n = 40; n < 43; n++) await write(n);
    expect(await walMiB()).toBeLessThan(17);
  });

  it('migrate once when many start together', async () => {
    const stores = Array.from({ length: 5 }, () => store());
    const outcomes = await Promise.allSettled(stores.map((one) => one.open()));
    expect(outcomes.map((outcome) => outcome.status)).toEqual(Array(5).fill('fulfilled'));
    const host = await hostDataSource();
    expect(await host.query('SELECT name FROM taskflow_migrations ORDER BY id')).toEqual(
      TASKFLOW_SCHEMA.migrations.map((migration) => ({ name: new migration().name })),
    );
  });

  it('refuse a schema of a newer version, and leave it alone', async () => {
    await store().open();
    const host = await hostDataSource();
    await host.query(`INSERT INTO taskflow_migrations ("timestamp", "name") VALUES (4102444800000, 'Future4102444800000')`);
    expect((await failureOf(store().open())).code).toBe('SCHEMA_TOO_NEW');
    expect((await failureOf(projector().open())).code).toBe('SCHEMA_TOO_NEW');
  });

  it('name the file that is no database, and do not touch it', async () => {
    await mkdir(dirname(file), { recursive: true });
    const text = 'quarterly figures, not a database\n'.repeat(200);
    await writeFile(file, text);
    const error = await failureOf(store().open());
    expect(error.code).toBe('NOT_A_DATABASE');
    expect(error.message).toContain(file);
    expect(await readFile(file, 'utf8')).toBe(text);
  });

  it('answer UNAVAILABLE before they are open, and where the file cannot be made', async () => {
    expect((await failureOf(store().findByIds(['x']))).code).toBe('UNAVAILABLE');
    await writeFile(join(folder, 'new'), 'a file where a folder should be');
    const failed = store();
    expect((await failureOf(failed.open())).code).toBe('UNAVAILABLE');
    expect(failed.isOpen).toBe(false);
    await rm(join(folder, 'new'));
    await failed.open();
    expect(failed.isOpen).toBe(true);
    expect(await failed.cursor('log')).toBeNull();
  });

  it('are not touched by a transaction of the host that is rolled back', async () => {
    const [reader, writer] = [store(), projector()];
    await Promise.all([reader.open(), writer.open()]);
    const host = await hostDataSource();
    await host.query('CREATE TABLE orders (id text)');
    const runner = host.createQueryRunner();
    await runner.startTransaction();
    await runner.query(`INSERT INTO orders VALUES ('lost')`);
    const script = new EntryScript();
    const id = randomUUID();
    script.created(id);
    const applied = writer.apply(script.batch(null)); // waits for the host's lock
    expect((await reader.findByIds([id])).size).toBe(0);
    await runner.rollbackTransaction();
    await applied;
    expect((await reader.findByIds([id])).get(id)!.status).toBe('created');
    expect(await host.query('SELECT * FROM orders')).toEqual([]);
  });

  it('wait outside the driver while another connection holds the lock, then give up', async () => {
    const fake = new FakeClock();
    const reader = store(fake);
    await reader.open();
    const host = await hostDataSource();
    await host.query('BEGIN IMMEDIATE');
    let settled = false;
    const refused = failureOf(reader.beat('home', 'owner', 1)).finally(() => {
      settled = true;
    });
    let pauses = 0;
    while (!settled) {
      await new Promise((resolve) => setImmediate(resolve));
      if (fake.timers === 0) continue; // inside the driver, for 50 ms
      pauses++;
      await fake.run(100);
    }
    expect((await refused).code).toBe('UNAVAILABLE');
    expect(pauses).toBeGreaterThan(3);
    await host.query('COMMIT');
    await reader.beat('home', 'owner', 2);
  });

  it('have the tables that the entities describe', async () => {
    await store().open();
    const host = await new DataSource({ type: 'sqlite', database: file, entities: [...TASKFLOW_ENTITIES] }).initialize();
    toClose.push(() => host.destroy());
    const changes = (await host.driver.createSchemaBuilder().log()).upQueries.map((query) => query.query);
    expect(changes).toEqual([]);
  });

  it('report what fails without the values of the statement', async () => {
    const reader = store();
    await reader.open();
    const home = 'home-that-nobody-may-read';
    const host = await hostDataSource();
    await host.query('DROP TABLE taskflow_nodes');
    const error = await failureOf(reader.beat(home, 'owner', 1));
    expect(error.code).toBe('UNAVAILABLE');
    expect(`${error.message} ${String((error.cause as Error).message)} ${JSON.stringify(error.cause)}`).not.toContain(home);
  });
});
