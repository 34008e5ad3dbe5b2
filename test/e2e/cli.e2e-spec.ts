import { execFile } from 'node:child_process';
import { appendFile, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { Task, TaskSystem, TaskflowOptionsInput } from 'nestjs-taskflow';
import { DataSource } from 'typeorm';
import { readRows } from '../support/oracle/log-and-rows.js';
import { caughtUp, TestFolder } from '../support/process/task-system.js';

const CLI = fileURLToPath(new URL('../../dist/cli/taskflow.js', import.meta.url));

let folder: TestFolder;
let others: TestFolder[];
beforeEach(async () => {
  folder = await TestFolder.create();
  others = [];
});
afterEach(async () => {
  for (const each of [folder, ...others]) await each.dispose();
});

interface Answer {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

/** The program itself, as npx starts it. */
function taskflow(...args: string[]): Promise<Answer> {
  return new Promise((resolve) =>
    execFile(process.execPath, [CLI, 'log', ...args], { maxBuffer: 64 * 1024 * 1024 }, (error, out, err) =>
      resolve({ code: typeof error?.code === 'number' ? error.code : error === null ? 0 : -1, out, err }),
    ),
  );
}
async function asked(...args: string[]): Promise<{ code: number; report: any }> {
  const { code, out, err } = await taskflow(...args, '--json');
  if (out === '') throw new Error(err);
  return { code, report: JSON.parse(out) };
}

async function start(at: TestFolder = folder, more: TaskflowOptionsInput = {}): Promise<TaskSystem> {
  const system = await at.system(more);
  system.defineTask('echo', { handler: async (input: { text: string }) => ({ text: input.text }) });
  await system.initialize();
  return system;
}
const run = async (system: TaskSystem, text: string, more: object = {}): Promise<Task> => {
  const task = await system.submit('echo', { input: { text }, ...more });
  await system.result(task);
  return task;
};
const segments = async (at = folder): Promise<string[]> =>
  (await readdir(at.path))
    .filter((name) => /^events-\d{16}\.log$/.test(name))
    .sort()
    .map((name) => at.file(name));
/** Everything in the folder of the log, byte by byte. */
async function bytesOf(at: TestFolder): Promise<Map<string, string>> {
  const found = new Map<string, string>();
  for (const name of await readdir(at.path)) {
    if (/\.lock\.|\.db/.test(name) || !(await stat(at.file(name))).isFile()) continue;
    found.set(name, (await readFile(at.file(name))).toString('base64'));
  }
  return found;
}
/** Turns one bit of the line that has the text. @returns the byte. */
async function flipAt(file: string, text: string): Promise<number> {
  const bytes = await readFile(file);
  const at = bytes.indexOf(text);
  expect(at).toBeGreaterThan(0);
  bytes[at]! ^= 1;
  await writeFile(file, bytes);
  return at;
}

/** A log of several tasks and segments, closed in order. */
async function manyTasks(n = 20): Promise<Task[]> {
  const system = await start(folder, { eventLog: { maxSizeBytesPerFile: 2048, retentionCount: 1000 } });
  const tasks: Task[] = [];
  for (let i = 0; i < n; i++) tasks.push(await run(system, `text-${i}-`));
  await caughtUp(system);
  await system.shutdown();
  return tasks;
}

describe('taskflow log', () => {
  it('refuses what it cannot understand with exit code 2, and says how it is used', async () => {
    for (const args of [
      [],
      ['undo'],
      ['inspect', '--nonsense'],
      ['inspect', folder.path],
      ['verify', '--yes'],
      ['adopt'],
      ['export', '--from', 'x'],
    ]) {
      const { code, out, err } = await taskflow(...args);
      expect([code, out]).toEqual([2, '']);
      expect(err).toContain('Usage: taskflow log');
    }
    expect((await taskflow('--help')).code).toBe(0);
  });

  it('changes nothing when it inspects, verifies, exports, or is not told --yes', async () => {
    await manyTasks();
    const before = await bytesOf(folder);
    const database = ['--database', folder.file('tasks.db')];
    expect((await taskflow('inspect', folder.path, ...database)).code).toBe(0);
    expect((await taskflow('verify', folder.path, ...database)).code).toBe(0);
    expect((await taskflow('export', folder.path)).code).toBe(0);
    expect((await taskflow('retry-dead', folder.path, ...database)).code).toBe(0);
    expect((await taskflow('repair', folder.path)).code).toBe(0);
    expect((await taskflow('repair', '--rebuild', folder.path, '--database', folder.file('no.db'))).code).toBe(1);
    await taskflow('adopt', 'some-log', folder.path, ...database);
    expect(await bytesOf(folder)).toEqual(before);
  });

  it('does not make a database where there is none', async () => {
    await manyTasks(1);
    const { code, err } = await taskflow('inspect', folder.path, '--database', folder.file('no.db'));
    expect(code).toBe(2);
    expect(err).toContain('there is no database');
    expect(await readdir(folder.path)).not.toContain('no.db');
  });
});

describe('taskflow log inspect', () => {
  it('shows segments, entries, holder, cursor and homes of a log that is being written', async () => {
    const system = await start();
    await run(system, 'one');
    await caughtUp(system);
    const { code, report } = await asked('inspect', folder.file('events.log'), '--database', folder.file('tasks.db'));
    expect(code).toBe(0);
    expect(report.holder).toContain(`process ${process.pid}`);
    expect(report).toMatchObject({
      firstSeq: 1,
      lastSeq: 3,
      faults: [],
      segments: [{ isSealed: false, entries: { created: 1, start: 1, complete: 1 } }],
    });
    expect(report.database).toMatchObject({ cursor: { appliedSeq: 3 }, homes: [{ home: report.logId, tasks: 1, unfinished: 0 }] });
    await system.shutdown();
    expect((await taskflow('inspect', folder.path)).out).toContain('held by   nobody');
  });
});

describe('taskflow log verify', () => {
  it('finds every kind of damage, by file and byte, and where the database stands', async () => {
    await manyTasks();
    const files = await segments();
    expect(files.length).toBeGreaterThan(3);
    const sound = await asked('verify', folder.path, '--database', folder.file('tasks.db'));
    expect([sound.code, sound.report.database.fault]).toEqual([0, null]);
    const at = await flipAt(files[1]!, 'text-');
    const { code, report } = await asked('verify', folder.path);
    expect(code).toBe(1);
    expect(report.faults).toHaveLength(1);
    const [fault] = report.faults;
    expect(fault).toMatchObject({ file: files[1], kind: 'damage' });
    expect(fault.offset).toBeLessThan(at);
    expect(fault.offset + fault.bytes).toBeGreaterThan(at);
  });

  it('tells a torn end, which is no damage, from damage', async () => {
    await manyTasks(2);
    const last = (await segments()).at(-1)!;
    const whole = await readFile(last);
    // Without its seal and half of its last frame: as a power failure leaves it.
    await writeFile(last, whole.subarray(0, whole.lastIndexOf('#S') - 20));
    const { code, report } = await asked('verify', folder.path);
    expect(code).toBe(0);
    expect(report.faults).toMatchObject([{ file: last, kind: 'torn' }]);
    await appendFile(last, 'rubbish');
    expect((await asked('verify', folder.path)).code).toBe(0);
  });
});

describe('taskflow log export', () => {
  it('gives the entries of proven frames as JSON lines, by sequence and by task', async () => {
    const tasks = await manyTasks();
    const all = await taskflow('export', folder.path);
    const entries = all.out
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(entries.map(({ s }) => s)).toEqual(Array.from({ length: 60 }, (_, i) => i + 1));
    const some = await taskflow('export', folder.path, '--from', '7', '--to', '9');
    expect(
      some.out
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line).s),
    ).toEqual([7, 8, 9]);
    const ofTask = await taskflow('export', folder.path, '--task', tasks[3]!.id);
    expect(
      ofTask.out
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line).e),
    ).toEqual(['created', 'start', 'complete']);
    await flipAt((await segments())[1]!, 'text-');
    const damaged = await taskflow('export', folder.path);
    expect(damaged.code).toBe(1);
    expect(damaged.out.trim().split('\n').length).toBeLessThan(60);
  });
});

describe('taskflow log retry-dead', () => {
  it('applies what the database refused, once it no longer does, and leaves it where it still does', async () => {
    const database = folder.file('tasks.db');
    const system = await start();
    const direct = await new DataSource({ type: 'sqlite', database }).initialize();
    await direct.query(
      `CREATE TRIGGER refuse BEFORE INSERT ON taskflow_tasks WHEN NEW.user_id = 'eve' BEGIN SELECT RAISE(ABORT, 'no'); END`,
    );
    const bad = await run(system, 'bad', { userId: 'eve' });
    await run(system, 'good', { userId: 'ada' });
    await caughtUp(system);
    await system.shutdown();
    const of = ['retry-dead', folder.path, '--database', database];
    expect(await asked(...of)).toMatchObject({ code: 1, report: { tasks: [{ taskId: bad.id, entries: 3 }] } });
    const refused = await asked(...of, '--yes');
    expect([refused.code, refused.report.tasks[0].reason]).toEqual([1, expect.stringContaining('SQLITE_CONSTRAINT')]);
    expect(await direct.query('SELECT COUNT(*) AS n FROM taskflow_dead_entries')).toEqual([{ n: 3 }]);
    await direct.query('DROP TRIGGER refuse');
    expect(await asked(...of, '--yes')).toMatchObject({ code: 0, report: { tasks: [{ taskId: bad.id, reason: null }] } });
    expect(await direct.query('SELECT COUNT(*) AS n FROM taskflow_dead_entries')).toEqual([{ n: 0 }]);
    expect(await direct.query(`SELECT "status", "last_seq" FROM taskflow_tasks WHERE "id" = '${bad.id}'`)).toEqual([
      { status: 'completed', last_seq: 3 },
    ]);
    expect(await direct.query(`SELECT COUNT(*) AS n FROM taskflow_events WHERE "task_id" = '${bad.id}'`)).toEqual([{ n: 3 }]);
    await direct.destroy();
    const again = await start();
    expect(await again.getStatus(bad)).toMatchObject({ status: 'completed', result: { text: 'bad' } });
  });
});

describe('taskflow log adopt', () => {
  it('moves the unfinished tasks of a lost log to this one, whose next start runs them', async () => {
    const shared: TaskflowOptionsInput = { repository: { type: 'sqlite', database: folder.file('shared.db') } };
    const lostFolder = await TestFolder.create();
    others.push(lostFolder);
    const lost = await start(lostFolder, shared);
    const done = await run(lost, 'done');
    await lost.shutdown();
    const idle = await start(lostFolder, { ...shared, executor: { enabled: false } });
    const waiting = await idle.submit('echo', { input: { text: 'later' } });
    await caughtUp(idle);
    await idle.shutdown();
    const { report } = await asked('inspect', lostFolder.path);

    const refused = await folder.system(shared);
    await expect(refused.initialize()).rejects.toMatchObject({ code: 'UNADOPTED_HOME' });
    await refused.shutdown();
    const adopt = ['adopt', report.logId as string, folder.path, '--database', folder.file('shared.db')];
    expect(await asked(...adopt)).toMatchObject({ code: 1, report: { unfinished: 1, done: false } });
    expect(await asked(...adopt, '--yes')).toMatchObject({ code: 0, report: { done: true, tasks: [waiting.id] } });
    expect(await asked(...adopt, '--yes')).toMatchObject({ code: 0, report: { tasks: [] } });

    const system = await start(folder, shared);
    expect(await system.result(waiting)).toEqual({ text: 'later' });
    expect(await system.getStatus(done)).toMatchObject({ status: 'completed' });
    expect((await taskflow('verify', folder.path, '--database', folder.file('shared.db'))).code).toBe(0);
  });

  it('refuses while a process of that log gave a sign of life, and while somebody holds this one', async () => {
    const shared: TaskflowOptionsInput = { repository: { type: 'sqlite', database: folder.file('shared.db') } };
    const otherFolder = await TestFolder.create();
    others.push(otherFolder);
    const system = await start(folder, shared);
    const other = await start(otherFolder, shared);
    await other.submit('echo', { input: { text: 'later' }, delayMs: 3_600_000 });
    await caughtUp(other);
    const otherId = (await asked('inspect', otherFolder.path)).report.logId as string;
    const adopt = ['adopt', otherId, folder.path, '--database', folder.file('shared.db'), '--yes'];
    const living = await asked(...adopt);
    // At once: a process that is too busy to give another one meanwhile must not lose its tasks.
    expect([living.code, living.report.refusal]).toEqual([1, expect.stringMatching(/gave a sign of life \d s ago/)]);
    await other.shutdown();
    const held = await taskflow(...adopt);
    expect([held.code, held.err]).toEqual([1, expect.stringContaining(`held by process ${process.pid}`)]);
    await system.shutdown();
    expect((await taskflow(...adopt)).code).toBe(0);
  });
});

describe('taskflow log repair', () => {
  const database = (): string[] => ['--database', folder.file('tasks.db')];
  /** All tasks are known, and new ones run. */
  async function expectAlive(tasks: readonly Task[]): Promise<void> {
    const system = await start();
    for (const task of tasks) expect(await system.getStatus(task)).toMatchObject({ status: 'completed' });
    expect(await system.result(await run(system, 'new'))).toEqual({ text: 'new' });
    await caughtUp(system);
    await system.shutdown();
    expect((await asked('verify', folder.path, ...database())).report).toMatchObject({ ok: true, faults: [] });
  }

  it('keeps what is proven before and behind the damage, says what is lost, and a start accepts the log', async () => {
    const tasks = await manyTasks();
    const [, second] = await segments();
    await flipAt(second!, 'text-');
    const damaged = await bytesOf(folder);
    const before = (await taskflow('export', folder.path)).out;
    const kept = before
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line).s as number);
    const missing = Array.from({ length: 60 }, (_, i) => i + 1).filter((seq) => !kept.includes(seq));
    expect(missing.length).toBeGreaterThan(0);
    const lost = [[missing[0], missing.at(-1)]];
    expect(await asked('repair', folder.path, ...database())).toMatchObject({ code: 1, report: { done: false, damaged: [second], lost } });
    expect((await taskflow('repair', folder.path, '--yes')).code).toBe(2);
    expect(await bytesOf(folder)).toEqual(damaged);

    const { code, report } = await asked('repair', folder.path, '--yes', ...database());
    expect([code, report.done, report.lost]).toEqual([0, true, lost]);
    expect((await readFile(report.copies[0])).toString('base64')).toBe(damaged.get(second!.slice(folder.path.length + 1)));
    expect((await taskflow('export', folder.path)).out).toBe(before);
    expect((await asked('verify', folder.path, ...database())).code).toBe(0);
    expect((await asked('repair', folder.path, '--yes', ...database())).report).toMatchObject({ done: false, faults: [] });
    await expectAlive(tasks);
  });

  it('gives no number again that the database has seen, when the end of the log is what is lost', async () => {
    const tasks = await manyTasks();
    const files = await segments();
    const last = files.at(-2)!; // the last one that has entries behind it has none itself, or few
    const bytes = await readFile(last);
    await writeFile(last, bytes.subarray(0, 60)); // not even its header
    await rm(files.at(-1)!);
    const { code, report } = await asked('repair', folder.path, '--yes', ...database());
    expect([code, report.done]).toEqual([0, true]);
    expect(report.lost.at(-1)[1]).toBe(60);
    await expectAlive(tasks);
    const added = (await taskflow('export', folder.path, '--from', '61')).out
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line).e);
    expect(added.slice(0, 3)).toEqual(['created', 'start', 'complete']);
  });

  it('refuses while a writer holds the log', async () => {
    const system = await start();
    await run(system, 'one');
    const { code, err } = await taskflow('repair', folder.path);
    expect([code, err]).toEqual([1, expect.stringContaining(`held by process ${process.pid}`)]);
    await system.shutdown();
  });

  it('--rebuild: applies what the log retains to a fresh database, and refuses one that has it already', async () => {
    const tasks = await manyTasks();
    expect((await asked('repair', '--rebuild', folder.path, '--yes', ...database())).report.refusal).toContain('fresh');
    const fresh = folder.file('fresh.db');
    const { code, report } = await asked('repair', '--rebuild', folder.path, '--database', fresh, '--yes');
    expect([code, report]).toEqual([0, expect.objectContaining({ entries: 60, quarantined: 0, leftOut: [] })]);
    expect(await readRows(fresh)).toEqual(await readRows(folder.file('tasks.db')));
    const system = await start(folder, { repository: { type: 'sqlite', database: fresh } });
    expect(await system.getStatus(tasks[0]!)).toMatchObject({ status: 'completed', result: { text: 'text-0-' } });
  });
});
