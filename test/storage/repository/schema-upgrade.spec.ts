import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { mkdir } from 'node:fs/promises';
import { dirname } from 'node:path';
import { DataSource, type DataSourceOptions } from 'typeorm';
import type { RepositoryOptions } from '../../../lib/config/repository.options.js';
import { SystemClock } from '../../../lib/primitives/system-clock.js';
import { databaseTarget } from '../../../lib/repository/database-target.js';
import { CancelReason1794700800000 } from '../../../lib/repository/migrations/cancel-reason.migration.js';
import { InitialSchema1764000000000 } from '../../../lib/repository/migrations/initial-schema.migration.js';
import { keyHash, scopedKey } from '../../../lib/domain/task-key.js';
import { taskId } from '../../../lib/contracts/ids.js';
import { DatabaseConnection } from '../../../lib/repository/database.connection.js';
import { MIGRATIONS_TABLE } from '../../../lib/repository/schema-names.js';
import { TypeOrmProjector } from '../../../lib/engines/local/storage/typeorm-projector.js';
import { TypeOrmTaskStore } from '../../../lib/engines/local/storage/typeorm-task-store.js';
import { EntryScript } from '../../support/database/entry-script.js';
import { DATABASES, ensureFile, type TestDatabase } from '../../support/database/test-databases.js';

const ROW = {
  id: '01890000-0000-7000-8000-000000000001',
  home: 'home',
  name: 'old',
  scoped_key: '01890000-0000-7000-8000-000000000001',
  type: 'user',
  status: 'running',
  priority: 0,
  attempt: 1,
  max_attempts: 3,
  failures: 0,
  fence: 1,
  life: 1,
  recoveries: 0,
  timeout_ms: 60_000,
  cancel_requested_at: 1_700_000_003_000,
  last_seq: 2,
  created_at: 1_700_000_001_000,
  run_at: 1_700_000_001_000,
  last_event_at: 1_700_000_002_000,
  owner: 'o',
  input: '{"n":1}',
};

const fail = (...what: unknown[]): void => {
  throw new Error(what.join(' '));
};

for (const { name, available, create } of DATABASES) {
  (available ? describe : describe.skip)(`A database of an earlier schema: ${name}`, () => {
    let database: TestDatabase;
    let stores: TypeOrmTaskStore[];
    beforeEach(async () => {
      database = await create();
      stores = [];
    });
    afterEach(async () => {
      for (const store of stores) await store.close();
      await database.drop();
    });

    async function earlier(migrations: readonly unknown[], rows: readonly object[]): Promise<DataSource> {
      if (database.options.type === 'sqlite') await mkdir(dirname(database.options['database'] as string), { recursive: true });
      const old = await new DataSource({
        ...database.options,
        migrations,
        migrationsTableName: MIGRATIONS_TABLE,
      } as unknown as DataSourceOptions).initialize();
      await old.runMigrations();
      for (const row of rows) {
        const literals = Object.values(row).map((value) => (typeof value === 'number' ? value : `'${value}'`));
        await old.query(`INSERT INTO taskflow_tasks (${Object.keys(row).join(', ')}) VALUES (${literals.join(', ')})`);
      }
      return old;
    }
    const target = () => databaseTarget(database.options as unknown as RepositoryOptions);
    const storeOf = (): TypeOrmTaskStore =>
      new TypeOrmTaskStore(target(), { clock: new SystemClock(), ensureFile, sharesProcessWithLog: true });

    it('is brought to this one by whoever opens it, once, with what it holds', async () => {
      const old = await earlier([InitialSchema1764000000000], [ROW]);
      stores = [1, 2, 3].map(storeOf);
      await Promise.all(stores.map((store) => store.open()));
      const task = (await stores[0]!.findByIds([ROW.id])).get(ROW.id)!;
      expect(task).toMatchObject({ id: ROW.id, status: 'running', fence: 1, input: '{"n":1}', cancelRequest: { at: 1_700_000_003_000 } });
      expect('reason' in task.cancelRequest!).toBe(false);
      expect((await old.query(`SELECT name FROM ${MIGRATIONS_TABLE} ORDER BY "timestamp"`)) as unknown[]).toHaveLength(3);
      await old.destroy();
    });

    it('of the release before goes on with the tasks it has: a key of then is used again, and remembered when it is pruned', async () => {
      const scoped = scopedKey(taskId(''), 'ann', 'k');
      const ended = {
        ...ROW,
        status: 'failed',
        user_id: 'ann',
        task_key: 'k',
        scoped_key: scoped,
        key_hash: keyHash(scoped),
        input_hash: 'ff',
        last_seq: 3,
        completed_at: 1_700_000_003_000,
        dead_lettered_at: 1_700_000_003_000,
        error: '{"name":"Error","message":"no","retryable":false}',
      };
      const waiting = { ...ROW, id: '01890000-0000-7000-8000-000000000002', scoped_key: '01890000-0000-7000-8000-000000000002' };
      const old = await earlier([InitialSchema1764000000000, CancelReason1794700800000], [ended, waiting]);
      await old.destroy();
      const store = storeOf();
      stores = [store];
      await store.open();
      const known = (await store.findByKeys([scoped])).get(scoped)!;
      expect(known).toMatchObject({
        id: ended.id,
        supersededBy: null,
        keyBase: 0,
        expiresAt: null,
        postponements: 0,
        deadLetteredAt: 1_700_000_003_000,
      });
      expect(known.progress).toBeUndefined();
      const ports = { clock: new SystemClock(), ensureFile, sharesProcessWithLog: false };
      const notices = { keyConflict: fail, quarantined: fail };
      const projector = new TypeOrmProjector(new DatabaseConnection(target(), 'writer', ports), notices);
      await projector.open();
      try {
        const script = new EntryScript(ROW.home);
        const next = '01890000-0000-7000-8000-000000000003';
        script.add('dlq-removed', ended.id, { supersededBy: next }, { fence: 1 });
        script.created(next, { userId: 'ann', key: 'k', inputHash: 'ff', keyBase: 4, expiresAt: 1_900_000_000_000 });
        script.add('progress', waiting.id, { payload: { n: 1 } }, { fence: 1, taskSeq: 3 });
        const { cursor } = await projector.apply(script.batch(null));
        expect((await store.findByKeys([scoped])).get(scoped)).toMatchObject({ id: next, keyBase: 4, expiresAt: 1_900_000_000_000 });
        const rows = await store.findByIds([ended.id, waiting.id]);
        expect(rows.get(ended.id)).toMatchObject({ status: 'failed', supersededBy: next, deadLetteredAt: null, input: '{"n":1}' });
        expect(rows.get(waiting.id)).toMatchObject({ status: 'running', lastSeq: 3, progress: '{"n":1}' });
        script.complete(next);
        script.add('pruned', ended.id, {}, { fence: 1 });
        script.add('pruned', next);
        await projector.apply(script.batch(cursor));
        expect(await store.keyBases([scoped])).toEqual(new Map([[scoped, 8]]));
      } finally {
        await projector.close();
      }
    });
  });
}
