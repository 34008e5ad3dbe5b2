import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { Task, TaskSystem } from 'nestjs-taskflow';
import { eventually } from '../support/clock/patience.js';
import { caughtUp, silent, TestFolder } from '../support/process/task-system.js';

const CLI = fileURLToPath(new URL('../../dist/cli/taskflow.js', import.meta.url));
const manifest = JSON.parse(readFileSync(fileURLToPath(new URL('../../package.json', import.meta.url)), 'utf8')) as { version: string };

let folder: TestFolder;
beforeEach(async () => {
  folder = await TestFolder.create();
});
afterEach(() => folder.dispose());

interface Answer {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}
/** The program itself, as npx starts it, in the folder of the test. */
function taskflow(...args: string[]): Promise<Answer> {
  return new Promise((resolve) =>
    execFile(process.execPath, [CLI, ...args], { cwd: folder.path }, (error, out, err) =>
      resolve({ code: typeof error?.code === 'number' ? error.code : error === null ? 0 : -1, out, err }),
    ),
  );
}
async function asked(...args: string[]): Promise<{ code: number; report: any }> {
  const { code, out, err } = await taskflow(...args, '--json');
  if (out === '') throw new Error(err);
  return { code, report: JSON.parse(out) };
}
async function start(lines?: string[]): Promise<TaskSystem> {
  const logger = lines === undefined ? silent : { ...silent, log: (line: string) => void lines.push(line) };
  const system = await folder.system({ hooks: { logger }, executor: { retry: { maxAttempts: 1 } } });
  system.defineTask('echo', {
    handler: async (input: { text: string }, ctx) => {
      await ctx.progress({ percent: 50 });
      if (input.text === 'fails') throw new Error('it failed');
      return input.text;
    },
  });
  await system.initialize();
  return system;
}
/** One of each, and the system is down. */
async function oneOfEach(): Promise<{ done: Task; failed: Task; waiting: Task }> {
  const system = await start();
  const done = await system.submit('echo', { input: { text: 'works' }, userId: 'alice', tags: ['blue'] });
  await system.result(done);
  const failed = await system.submit('echo', { input: { text: 'fails' } });
  await system.result(failed).catch(() => undefined);
  const waiting = await system.submit('echo', { input: { text: 'waits' }, delayMs: 3_600_000 });
  await caughtUp(system);
  await system.shutdown();
  return { done, failed, waiting };
}
const rows = (): string[] => ['--database', folder.file('tasks.db')];

describe('taskflow', () => {
  it('says its version', async () => {
    expect(await taskflow('--version')).toEqual({ code: 0, out: `${manifest.version}\n`, err: '' });
  });

  it.each([
    [['tasks'], 'a command is missing'],
    [['tasks', 'prune'], "there is no command 'tasks prune'"],
    [['tasks', 'show'], 'tasks show needs the id of the task'],
    [['tasks', 'list', 'some.log'], 'is one word too many'],
    [['tasks', 'list', '--status', 'done'], '--status must be one of'],
    [['tasks', 'list', '--limit', '0'], '--limit must be 1 to 1000'],
    [['tasks', 'list', '--cursor', 'x', '--database', 'tasks.db'], '--cursor must be what the page before gave'],
    [['log', 'inspect', '--status', 'failed'], '--status is for list'],
    [['tasks', 'list'], 'there is no database at'],
    [['tasks', 'cancel', 'x', 'nowhere.log', '--database', 'tasks.db'], 'there is no event log at'],
  ])('refuses what it cannot understand with exit code 2: %j', async (args, message) => {
    const { code, out, err } = await taskflow(...args);
    expect({ code, out, err }).toEqual({ code: 2, out: '', err: expect.stringContaining(message) });
  });
});

describe('taskflow tasks list and show', () => {
  it('tell of rows, beside a system that runs, by status, name, tag and user, page by page', async () => {
    const { done, failed, waiting } = await oneOfEach();
    await start();
    const ids = async (...more: string[]): Promise<string[]> =>
      (await asked('tasks', 'list', ...rows(), ...more)).report.items.map((task: Task) => task.id);
    expect(await ids()).toEqual([waiting.id, failed.id, done.id]);
    expect(await ids('--status', 'failed')).toEqual([failed.id]);
    expect(await ids('--tag', 'blue', '--name', 'echo')).toEqual([done.id]);
    expect(await ids('--user', 'alice')).toEqual([done.id]);
    expect(await ids('--user', '')).toEqual([waiting.id, failed.id]);
    const { report } = await asked('tasks', 'list', ...rows(), '--limit', '2');
    expect(report.items.map((task: Task) => task.id)).toEqual([waiting.id, failed.id]);
    expect(await ids('--limit', '2', '--cursor', report.nextCursor)).toEqual([done.id]);
    const { out } = await taskflow('tasks', 'list', ...rows());
    expect(out).toMatch(
      new RegExp(`^${waiting.id}  created .*\n${failed.id}  failed .*Error: it failed\n${done.id}  completed .*alice.*"percent":50`),
    );
  });

  it('show one task with its events, and say where there is none', async () => {
    const { failed } = await oneOfEach();
    const { code, report } = await asked('tasks', 'show', failed.id, ...rows());
    expect(code).toBe(0);
    expect(report.task).toMatchObject({ id: failed.id, status: 'failed', progress: { percent: 50 }, error: { message: 'it failed' } });
    expect(report.events.map(({ seq, type }: any) => [seq, type])).toEqual([[1, 'created'], [2, 'start'], [3, 'progress'], [4, 'error']]); // prettier-ignore
    expect(await taskflow('tasks', 'show', 'nobody', ...rows())).toMatchObject({ code: 1, out: expect.stringContaining('no task nobody') });
  });
});

describe('taskflow tasks retry and cancel', () => {
  it('change a task of a system that is down, once they are told --yes, and its next start goes on from there', async () => {
    const { failed, waiting, done } = await oneOfEach();
    const log = folder.file('events.log');
    expect(await taskflow('tasks', 'retry', failed.id, log, ...rows())).toMatchObject({ code: 1, out: expect.stringContaining('--yes') });
    expect((await asked('tasks', 'show', failed.id, ...rows())).report.task.status).toBe('failed');

    expect(await taskflow('tasks', 'retry', failed.id, log, ...rows(), '--yes')).toMatchObject({
      code: 0,
      out: expect.stringContaining('is created'),
    });
    expect(await taskflow('tasks', 'cancel', waiting.id, log, ...rows(), '--yes')).toMatchObject({
      code: 0,
      out: expect.stringContaining('is cancelled'),
    });
    expect(await taskflow('tasks', 'cancel', done.id, log, ...rows(), '--yes')).toMatchObject({
      code: 1,
      err: expect.stringContaining('completed'),
    });

    const lines: string[] = [];
    const system = await start(lines);
    expect(lines.join()).toContain(`Event log: ${log}`);
    const again = await eventually(
      () => system.getStatus(failed),
      (task) => task?.status === 'failed',
    );
    expect(again).toMatchObject({ life: 2, error: { message: 'it failed' } });
    expect(await system.getStatus(waiting)).toMatchObject({ status: 'cancelled' });
  });

  it('refuse where the system runs, changing nothing, and say what to do instead', async () => {
    const { failed } = await oneOfEach();
    const system = await start();
    const { code, out } = await taskflow('tasks', 'retry', failed.id, folder.file('events.log'), ...rows(), '--yes');
    expect({ code, out }).toEqual({ code: 1, out: expect.stringMatching(/is held by .*call tasks\.retry\(\{ taskId \}\) in it/s) });
    expect(await system.getStatus(failed)).toMatchObject({ status: 'failed', life: 1 });
  });
});

describe('The line of a start', () => {
  it('says where log and database are, which handlers were found, and what was taken up', async () => {
    await oneOfEach();
    const lines: string[] = [];
    await start(lines);
    expect(lines.find((line) => line.startsWith('Started.'))).toMatch(
      new RegExp(
        `^Started\\. Event log: ${folder.file('events.log')}, \\d+ files?\\. Database: ${folder.file('tasks.db')}\\. ` +
          'Handlers: echo\\. Taken up: 0 tasks that a crash interrupted, [01] that wait( \\(more may come from the database\\))?\\.$',
      ),
    );
  });
});
