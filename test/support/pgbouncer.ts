import { type ChildProcess, spawn } from 'node:child_process';
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { existsSync } from 'node:fs';
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
  for (let port = 20_000 + (process.pid % 20_000); ; port++) {
    const settings = [
      `[databases]\n${database} = host=${hostname} port=${serverPort === '' ? 5432 : serverPort} user=${username}`,
      `[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = ${port}\nunix_socket_dir =\nauth_type = any\nauth_file = ${folder}/users.txt`,
      `pool_mode = transaction\nlogfile = ${folder}/log\npidfile = ${folder}/pid\n`,
    ];
    await writeFile(join(folder, 'pgbouncer.ini'), settings.join('\n'));
    const nobody = process.getuid?.() === 0 ? { uid: 65_534, gid: 65_534 } : {};
    const bouncer = spawn(PROGRAM, ['-q', join(folder, 'pgbouncer.ini')], { stdio: 'ignore', ...nobody });
    if (!(await listens(bouncer, port))) continue;
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
}

/** False when it ended: the port is taken. */
async function listens(bouncer: ChildProcess, port: number): Promise<boolean> {
  while (bouncer.exitCode === null && bouncer.signalCode === null) {
    const isThere = await new Promise<boolean>((resolve) => {
      const socket = connect(port, '127.0.0.1', () => {
        socket.destroy();
        resolve(true);
      });
      socket.on('error', () => resolve(false));
    });
    // Somebody else may listen there: ours has ended then, or is about to.
    await new Promise((resolve) => setTimeout(resolve, 50));
    if (isThere && bouncer.exitCode === null) return true;
  }
  return false;
}
