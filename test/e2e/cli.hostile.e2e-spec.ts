import { execFile } from 'node:child_process';
import { lstat, mkdir, readdir, readFile, readlink, rm, symlink, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { crc32 } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { TaskSystem, TaskflowOptionsInput } from 'nestjs-taskflow';
import { PATIENCE_MS, eventually } from '../support/clock/patience.js';
import { TestFolder } from '../support/process/task-system.js';

const CLI = fileURLToPath(new URL('../../dist/cli/taskflow.js', import.meta.url));
const TIMEOUT_MS = 600_000;
/** Clears the screen, sets the title, in both sets of control characters; deletes; ends a line; turns the direction of text. */
const NASTY = 'a\u001b[2J\u001b]0;owned\u0007\u009b31m\u007f\r\u0000\u2028\u202eb';
/** Whatever a terminal would obey, but for the ends of our own lines. */
const OBEYED = /(?!\n)[\p{Cc}\u2028\u2029\u202a-\u202e\u2066-\u2069]/u;

let folder: TestFolder;
let servers: Server[];
beforeEach(async () => {
  folder = await TestFolder.create();
  servers = [];
});
afterEach(async () => {
  for (const server of servers) await new Promise((resolve) => server.close(resolve));
  await folder.dispose();
});

interface Answer {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}
function taskflow(...args: string[]): Promise<Answer> {
  const options = { maxBuffer: 64 * 1024 * 1024, timeout: PATIENCE_MS };
  return new Promise((resolve) =>
    execFile(process.execPath, [CLI, 'log', ...args], options, (error, out, err) =>
      resolve({ code: typeof error?.code === 'number' ? error.code : error === null ? 0 : -1, out, err }),
    ),
  );
}

async function start(more: TaskflowOptionsInput = {}): Promise<TaskSystem> {
  const system = await folder.system(more);
  system.defineTask('echo', { handler: async (input) => input });
  await system.initialize();
  return system;
}
const SMALL: TaskflowOptionsInput = { eventLog: { maxSizeBytesPerFile: 2048, retentionCount: 1000 } };

/** A log of several files, closed in order, and its database. */
async function manyTasks(n = 12, input: unknown = 'text'): Promise<void> {
  const system = await start(SMALL);
  for (let i = 0; i < n; i++) await system.result(await system.submit('echo', { input: { input, i } }));
  await eventually(
    () => system.getStats(),
    ({ flush, eventLog }) => flush.appliedSeq === eventLog.durableSeq,
  );
  await system.shutdown();
}
const database = (): string[] => ['--database', folder.file('tasks.db')];
const segments = async (): Promise<string[]> =>
  (await readdir(folder.path))
    .filter((name) => /^events-\d{16}\.log$/.test(name))
    .sort()
    .map((name) => folder.file(name));

/** Names, kinds, modes, times and bytes of everything below a folder. */
async function everythingIn(path: string, at = ''): Promise<string[]> {
  const found: string[] = [];
  for (const name of (await readdir(join(path, at))).sort()) {
    const file = join(at, name);
    const { mode, mtimeMs, size } = await lstat(join(path, file));
    const kind = await lstat(join(path, file));
    const content = kind.isFile()
      ? (await readFile(join(path, file))).toString('base64')
      : kind.isSymbolicLink()
        ? await readlink(join(path, file))
        : '';
    found.push(`${file} ${mode.toString(8)} ${kind.isFile() ? mtimeMs : ''} ${kind.isFile() ? size : ''} ${content}`);
    if (kind.isDirectory()) found.push(...(await everythingIn(path, file)));
  }
  return found;
}

async function flip(file: string, at: number): Promise<void> {
  const bytes = await readFile(file);
  bytes[at]! ^= 1;
  await writeFile(file, bytes);
}

describe('taskflow log, read only', () => {
  it(
    'changes no name, no mode, no time and no byte, of a sound log and of a damaged one',
    async () => {
      await manyTasks();
      const logOnly = await everythingIn(folder.path);
      for (const damaged of [false, true]) {
        if (damaged) {
          await flip((await segments())[1]!, 700);
          await writeFile(folder.file('events-0000000000009999.log.tmp'), 'half made');
        }
        const before = damaged ? await everythingIn(folder.path) : logOnly;
        for (const args of [['inspect'], ['verify'], ['export'], ['export', '--task', 'x'], ['repair']]) {
          const { code } = await taskflow(...args, folder.path);
          expect([args, code]).toEqual([args, damaged ? 1 : 0]);
        }
        expect(await everythingIn(folder.path)).toEqual(before);
      }
    },
    TIMEOUT_MS,
  );

  it(
    'does not go through a symbolic link, to a folder or to a file',
    async () => {
      await manyTasks(2);
      const link = `${folder.path}-link`;
      await symlink(folder.path, link);
      try {
        const before = await everythingIn(folder.path);
        for (const args of [
          ['inspect', link],
          ['verify', join(link, 'events.log')],
          ['repair', '--yes', link, ...database()],
        ]) {
          const { code, out, err } = await taskflow(...args);
          expect([args, code, out]).toEqual([args, 2, '']);
          expect(err).toContain('there is no event log');
        }
        expect(await everythingIn(folder.path)).toEqual(before);
      } finally {
        await rm(link);
      }
      const [first] = await segments();
      const elsewhere = folder.file('elsewhere');
      await writeFile(elsewhere, await readFile(first!));
      await rm(first!);
      await symlink(elsewhere, first!);
      for (const command of ['inspect', 'verify', 'export', 'repair']) {
        const { code, err } = await taskflow(command, folder.path);
        expect([command, code]).toEqual([command, 1]);
        expect(err).toContain('ELOOP');
      }
    },
    TIMEOUT_MS,
  );

  it(
    'does not hang at a pipe, nor fall over a folder, that has the name of a file of the log',
    async () => {
      await manyTasks(2);
      await promisify(execFile)('mkfifo', [folder.file('events-0000000000000900.log')]);
      const pipe = await taskflow('verify', folder.path);
      expect([pipe.code, pipe.out]).toEqual([1, expect.stringContaining('events-0000000000000900.log')]);
      await rm(folder.file('events-0000000000000900.log'));
      await mkdir(folder.file('events-0000000000000900.log'));
      expect((await taskflow('verify', folder.path)).err).toContain('EISDIR');
      await rm(folder.file('events-0000000000000900.log'), { recursive: true });
      await writeFile(folder.file('events-9999999999999999.log'), 'no number of ours');
      expect((await taskflow('verify', folder.path)).code).toBe(0);
    },
    TIMEOUT_MS,
  );
});

describe('taskflow log, printing what others wrote', () => {
  it(
    'shows control characters as escapes, whoever put them there',
    async () => {
      await manyTasks(3, NASTY);
      const log = folder.file(`${NASTY.replace('\u0000', '')}.log`);
      const ascii = (text: string): string =>
        text.replace(/[^\x20-\x7e]/g, (each) => `\\u${each.charCodeAt(0).toString(16).padStart(4, '0')}`);
      const json = ascii(JSON.stringify({ v: 1, logId: NASTY, gen: 1, first: 1, prev: '00000000' }));
      await writeFile(log.replace(/\.log$/, '-0000000000000001.log'), `#H ${json} ${crc32(json).toString(16).padStart(8, '0')}\n`);
      const answers: Record<string, Answer> = {};
      for (const args of [
        ['inspect', log],
        ['inspect', log, '--json'],
        ['verify', log],
        ['verify', log, '--json'],
        ['repair', log],
        ['inspect', folder.path],
        ['adopt', NASTY.replace('\u0000', ''), folder.file('events.log'), ...database()],
        ['adopt', NASTY.replace('\u0000', ''), folder.file('events.log'), ...database(), '--json'],
        ['inspect', `${log}/none`],
        [NASTY.replace('\u0000', '')],
        ['inspect', folder.file('events.log'), '--database', folder.file(NASTY.replace('\u0000', ''))],
        ['export', folder.file('events.log')],
      ])
        answers[args.join(' ')] = await taskflow(...args);
      for (const [command, { out, err }] of Object.entries(answers)) {
        expect([command, OBEYED.exec(out), OBEYED.exec(err)]).toEqual([command, null, null]);
        expect(`${out}${err}`).not.toBe('');
      }
      expect(answers[`inspect ${log}`]!.out).toContain('\\u001b[2J');
      expect(JSON.parse(answers[`inspect ${log} --json`]!.out).logId).toBe(NASTY);
      const entries = answers[`export ${folder.file('events.log')}`]!.out.trim()
        .split('\n')
        .map((line) => JSON.parse(line));
      expect(entries[0].d.input.input).toBe(NASTY);
    },
    TIMEOUT_MS,
  );

  it(
    'shows what a process says that pretends to hold the log, and does not listen to it for ever',
    async () => {
      await manyTasks(1);
      const listen = async (name: string, onSocket: (write: (text: string) => void, end: () => void) => void): Promise<void> => {
        const server = createServer((socket) => {
          socket.on('error', () => undefined);
          onSocket(
            (text) => void socket.write(text),
            () => void socket.end(),
          );
        });
        servers.push(server);
        await new Promise<void>((resolve) => server.listen(folder.file(name), resolve));
      };
      await listen('events.lock.1-1', (write, end) => {
        write(`${JSON.stringify({ pid: 1, owner: NASTY, since: NASTY })}\n`);
        end();
      });
      const { code, out } = await taskflow('inspect', folder.path);
      expect(code).toBe(0);
      expect(out).toContain('held by   process 1 (owner a\\u001b[2J');
      expect(OBEYED.test(out)).toBe(false);
      const refused = await taskflow('repair', folder.path);
      expect([refused.code, OBEYED.test(refused.err)]).toEqual([1, false]);
    },
    TIMEOUT_MS,
  );
});

describe('taskflow log verify and repair', () => {
  it(
    'name every damaged byte, and repair loses exactly the entries that it says',
    async () => {
      await manyTasks(16);
      const files = await segments();
      const sequences = (text: string): number[] =>
        text === ''
          ? []
          : text
              .trim()
              .split('\n')
              .map((line) => JSON.parse(line).s as number);
      const all = sequences((await taskflow('export', folder.path)).out);
      // In the body of an entry, in the line of a frame, in a header.
      const text = async (file: string): Promise<string> => (await readFile(file)).toString('latin1');
      const body = (await text(files[1]!)).indexOf('"e":"complete"') + 3;
      const mark = (await text(files[3]!)).indexOf('#B', 900) + 4;
      const hits = [
        [files[1]!, body],
        [files[3]!, mark],
        [files[4]!, 20],
      ] as const;
      for (const [file, at] of hits) await flip(file, at);
      const { faults } = JSON.parse((await taskflow('verify', folder.path, '--json')).out) as {
        faults: { file: string; offset: number; bytes: number; kind: string }[];
      };
      for (const [file, at] of hits) {
        const named = faults.filter((fault) => fault.file === file && fault.offset <= at && at < fault.offset + fault.bytes);
        expect([file, at, named.map(({ kind }) => kind)]).toEqual([file, at, ['damage']]);
      }
      expect(faults.every(({ file }) => hits.some(([damaged]) => damaged === file))).toBe(true);
      const kept = sequences((await taskflow('export', folder.path)).out);
      const missing = all.filter((seq) => !kept.includes(seq));
      expect(missing.length).toBeGreaterThan(1);
      const repaired = JSON.parse((await taskflow('repair', folder.path, '--yes', '--json', ...database())).out) as {
        done: boolean;
        lost: [number, number][];
      };
      const lost = repaired.lost.flatMap(([from, to]) => Array.from({ length: to - from + 1 }, (_, i) => from + i));
      expect([repaired.done, lost]).toEqual([true, missing]);
      expect(sequences((await taskflow('export', folder.path)).out)).toEqual(kept);
      expect((await taskflow('verify', folder.path, ...database())).code).toBe(0);
    },
    TIMEOUT_MS,
  );

  it(
    'refuse to change anything while a writer holds the log',
    async () => {
      const system = await start(SMALL);
      await system.result(await system.submit('echo', { input: 1 }));
      await flip((await segments())[0]!, 40);
      const before = (await everythingIn(folder.path)).filter((line) => !line.includes('.db') && !line.includes('.lock.'));
      for (const args of [
        ['repair', '--yes', ...database()],
        ['repair'],
        ['repair', '--rebuild', '--yes', '--database', folder.file('fresh.db')],
      ]) {
        const { code, out, err } = await taskflow(...args, folder.path);
        expect([args, code]).toEqual([args, 1]);
        expect(`${out}${err}`).toMatch(/held by process|repair the log itself first/);
      }
      const after = (await everythingIn(folder.path)).filter((line) => !line.includes('.db') && !line.includes('.lock.'));
      expect(after).toEqual(before);
      expect(await readdir(folder.path)).not.toContain('fresh.db');
      await system.shutdown();
    },
    TIMEOUT_MS,
  );
});
