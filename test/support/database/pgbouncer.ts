import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { existsSync } from 'node:fs';
import { eventually } from '../clock/patience.js';
import { postgresUrl } from './test-databases.js';

const PROGRAM = '/usr/sbin/pgbouncer';

/** Why no pooler can be tried here; undefined: one can. */
export const noBouncer = (): string | undefined =>
  postgresUrl() === undefined ? (process.env['TASKFLOW_TEST_PG_SKIPPED'] ?? 'no server') : existsSync(PROGRAM) ? undefined : 'no pgbouncer';

export interface Bouncer {
  readonly port: number;
  stop(): Promise<void>;
}

/** pgbouncer in transaction mode with its own defaults, in front of one database. */
export async function startBouncer(database: string): Promise<Bouncer> {
  const { hostname, port: serverPort, username, password } = new URL(postgresUrl()!);
  const folder = await mkdtemp(join(tmpdir(), 'taskflow-bouncer-'));
  await chmod(folder, 0o777);
  await writeFile(join(folder, 'users.txt'), `"${username}" "${password}"\n`);
  const port = await freePort();
  const settings = [
    `[databases]\n${database} = host=${hostname} port=${serverPort === '' ? 5432 : serverPort} user=${username}${password === '' ? '' : ` password=${password}`}`,
    `[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = ${port}\nunix_socket_dir =\nauth_type = any\nauth_file = ${folder}/users.txt`,
    `pool_mode = transaction\nlogfile = ${folder}/log\npidfile = ${folder}/pid\n`,
  ];
  await writeFile(join(folder, 'pgbouncer.ini'), settings.join('\n'));
  const nobody = process.getuid?.() === 0 ? { uid: 65_534, gid: 65_534 } : {};
  const bouncer = spawn(PROGRAM, ['-q', join(folder, 'pgbouncer.ini')], { stdio: 'ignore', ...nobody });
  await eventually(
    () => readFile(join(folder, 'log'), 'utf8').catch(() => ''),
    (log) => log.includes(`listening on 127.0.0.1:${port}`),
  );
  return {
    port,
    stop: async () => {
      const exited = new Promise((resolve) => bouncer.once('exit', resolve));
      bouncer.kill('SIGKILL');
      await exited;
      await rm(folder, { recursive: true, force: true });
    },
  };
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}
