import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { RepositoryOptions } from '../../../lib/config/repository.options.js';
import { readArguments } from '../../../lib/cli/arguments.js';
import type { CommandResult } from '../../../lib/cli/command.interface.js';
import { migrate } from '../../../lib/engines/cluster/cli/migrate.command.js';
import { ClusterDatabase } from '../../../lib/engines/cluster/storage/cluster-database.js';
import { migrateCluster } from '../../../lib/engines/cluster/storage/cluster-schema.js';
import { SystemIdSource } from '../../../lib/primitives/id-source.js';
import { SystemClock } from '../../../lib/primitives/system-clock.js';
import { databaseTarget } from '../../../lib/repository/database-target.js';
import { claimCall, hasPostgres, newTask, submitCall, whereSkipped } from '../../support/database/cluster-house.js';
import { ensureFile, onServer, postgresDatabase, type TestDatabase } from '../../support/database/test-databases.js';

(hasPostgres ? describe : describe.skip)(`The schema of the cluster${whereSkipped}`, () => {
  const clock = new SystemClock();
  const ports = { clock, ensureFile, sharesProcessWithLog: false };
  let database: TestDatabase;
  let url: string;
  beforeEach(async () => {
    database = await postgresDatabase();
    const { host, port, username, password, database: name } = database.options as unknown as Record<string, string>;
    url = `postgres://${username}:${password}@${host}:${port}/${name}`;
  });
  afterEach(() => database.drop());

  const run = (...words: string[]): Promise<CommandResult> => {
    const args = readArguments(['cluster', 'migrate', ...words])!;
    return migrate({ args, clock, ids: new SystemIdSource(), fs: undefined!, write: () => Promise.resolve() });
  };
  const node = (options: object = {}) =>
    new ClusterDatabase(databaseTarget({ ...database.options, ...options } as unknown as RepositoryOptions), ports);
  const works = async (each: ClusterDatabase): Promise<void> => {
    try {
      await each.open();
      await each.submit(submitCall([newTask()]));
      expect((await each.claim(claimCall())).runs).toHaveLength(1);
    } finally {
      await each.close();
    }
  };
  const refusal = async (each: ClusterDatabase): Promise<unknown> => {
    try {
      await each.open();
      return await each.submit(submitCall([newTask()])).catch((error: unknown) => error);
    } catch (error) {
      return error;
    } finally {
      await each.close();
    }
  };

  it('is made by a command, once, also in a schema of its own', async () => {
    expect((await run('--url', url, '--schema', 'jobs')).lines.at(-1)).toMatch(/^made {3}ClusterSchema/);
    expect((await run('--url', url, '--schema', 'jobs')).lines).toEqual(['nothing to do']);
    await works(node({ schema: 'jobs' }));
  });

  it('is made once by nodes that start together', async () => {
    const target = databaseTarget(database.options as unknown as RepositoryOptions);
    await Promise.all([1, 2, 3].map(() => migrateCluster(target, ports)));
    await works(node());
  });

  it('is printed for whoever may create what the application may not, who then needs no such right', async () => {
    const { lines } = await run('--print', '--schema', 'jobs');
    await onServer(lines.join('\n'), url);
    expect((await run('--print', '--url', url, '--schema', 'jobs')).lines).toEqual(['-- nothing to do']);
    const role = `app_${database.options['database'] as string}`;
    await onServer(
      `CREATE ROLE ${role} LOGIN PASSWORD 'app'; GRANT USAGE ON SCHEMA jobs TO ${role};
       GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA jobs TO ${role}; REVOKE CREATE ON SCHEMA public FROM PUBLIC`,
      url,
    );
    const app = { schema: 'jobs', username: role, password: 'app' };
    try {
      await migrateCluster(databaseTarget({ ...database.options, ...app } as unknown as RepositoryOptions), ports);
      await works(node(app));
      await onServer(`REVOKE INSERT ON jobs.taskflow_queue FROM ${role}`, url);
      expect(await refusal(node(app))).toMatchObject({
        refusal: 'later',
        outcome: 'none',
        message: expect.stringMatching(/lacks a right.*--print/),
      });
    } finally {
      await onServer(`DROP OWNED BY ${role}; DROP ROLE ${role}`, url);
    }
  });

  it('that is missing, or older, is named with the command that makes it', async () => {
    expect(await refusal(node())).toMatchObject({ outcome: 'none', message: expect.stringContaining('npx taskflow cluster migrate') });
    await run('--url', url);
    await onServer('DROP FUNCTION taskflow_submit_v1', url);
    expect(await refusal(node())).toMatchObject({ message: expect.stringContaining('npx taskflow cluster migrate') });
  });

  it('is refused for a server that takes no writes, another isolation, a database that is not there, and SQLite', async () => {
    await run('--url', url);
    const name = database.options['database'] as string;
    await onServer(`ALTER DATABASE ${name} SET default_transaction_read_only = on`);
    expect(await refusal(node())).toMatchObject({ sqlState: '25006', refusal: 'later', message: expect.stringContaining('primary') });
    await onServer(
      `ALTER DATABASE ${name} RESET default_transaction_read_only; ALTER DATABASE ${name} SET default_transaction_isolation = 'repeatable read'`,
    );
    expect(await refusal(node())).toMatchObject({ sqlState: 'TF001', message: expect.stringContaining('read committed') });
    await onServer(`ALTER DATABASE ${name} RESET default_transaction_isolation`);
    expect(await refusal(node({ database: 'not_there' }))).toMatchObject({ message: expect.stringContaining('repository.database') });
    await expect(
      migrateCluster(databaseTarget({ type: 'sqlite', database: '/tmp/x.db' } as RepositoryOptions), ports),
    ).rejects.toMatchObject({
      code: 'NOT_SUPPORTED',
    });
    await works(node());
  });
});
