import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { mkdir } from 'node:fs/promises';
import { dirname } from 'node:path';
import { DataSource, type DataSourceOptions } from 'typeorm';
import type { RepositoryOptions } from '../../../lib/config/repository.options.js';
import { SystemClock } from '../../../lib/primitives/system-clock.js';
import { databaseTarget } from '../../../lib/repository/database-target.js';
import { InitialSchema1764000000000 } from '../../../lib/repository/migrations/initial-schema.migration.js';
import { MIGRATIONS_TABLE } from '../../../lib/repository/schema-names.js';
import { TypeOrmTaskStore } from '../../../lib/engines/local/storage/typeorm-task-store.js';
import { DATABASES, ensureFile, type TestDatabase } from '../../support/test-databases.js';

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

for (const { name, available, create } of DATABASES) {
  (available ? describe : describe.skip)(`A database of the first schema: ${name}`, () => {
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

    it('is brought to this one by whoever opens it, once, with what it holds', async () => {
      if (database.options.type === 'sqlite') await mkdir(dirname(database.options['database'] as string), { recursive: true });
      const old = await new DataSource({
        ...database.options,
        migrations: [InitialSchema1764000000000],
        migrationsTableName: MIGRATIONS_TABLE,
      } as unknown as DataSourceOptions).initialize();
      await old.runMigrations();
      const literals = Object.values(ROW).map((value) => (typeof value === 'number' ? value : `'${value}'`));
      await old.query(`INSERT INTO taskflow_tasks (${Object.keys(ROW).join(', ')}) VALUES (${literals.join(', ')})`);
      const target = databaseTarget(database.options as unknown as RepositoryOptions);
      stores = [1, 2, 3].map(() => new TypeOrmTaskStore(target, { clock: new SystemClock(), ensureFile, sharesProcessWithLog: true }));
      await Promise.all(stores.map((store) => store.open()));
      const task = (await stores[0]!.findByIds([ROW.id])).get(ROW.id)!;
      expect(task).toMatchObject({ id: ROW.id, status: 'running', fence: 1, input: '{"n":1}', cancelRequest: { at: 1_700_000_003_000 } });
      expect('reason' in task.cancelRequest!).toBe(false);
      expect((await old.query(`SELECT name FROM ${MIGRATIONS_TABLE} ORDER BY "timestamp"`)) as unknown[]).toHaveLength(3);
      await old.destroy();
    });
  });
}
