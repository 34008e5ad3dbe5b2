import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { EventLogLockedError } from 'nestjs-taskflow';
import { ChildApp } from '../../support/process/child-app.js';
import { eventually } from '../../support/clock/patience.js';
import { TestFolder } from '../../support/process/task-system.js';
import { postgresDatabase, postgresUrl, type TestDatabase } from '../../support/database/test-databases.js';

const HARMFUL = new URL('./harmful-tasks.mjs', import.meta.url);
const STALE_MS = 1_000;
const TIMES = {
  executor: { heartbeatIntervalMs: 200 },
  recovery: { staleThresholdMs: STALE_MS, scanIntervalMs: 200 },
  flush: { flushIntervalMs: 50, worker: 'process' as const },
};

let folders: TestFolder[];
let apps: ChildApp[];
let database: TestDatabase | undefined;

beforeEach(() => {
  folders = [];
  apps = [];
});
afterEach(async () => {
  for (const app of apps) await app.kill();
  for (const folder of folders) await folder.dispose();
  await database?.drop();
  database = undefined;
});

async function folderOf(): Promise<TestFolder> {
  const folder = await TestFolder.create();
  folders.push(folder);
  return folder;
}
async function start(folder: TestFolder): Promise<ChildApp> {
  const repository = database === undefined ? {} : { repository: database.options };
  const app = ChildApp.spawnWith(folder.options({ ...TIMES, ...repository, hooks: undefined }), HARMFUL);
  apps.push(app);
  return app.ready();
}
const statusOf = async (app: ChildApp, taskId: string) => (await app.ask('status', { ref: { taskId } }))['task'];
/** A handler that computes for three times as long as a task may be silent. */
async function block(app: ChildApp): Promise<string> {
  const { id } = await app.ask('submit', { name: 'blocks', params: { input: { ms: 3 * STALE_MS } } });
  await app.hears((message) => message['blocking'] === id);
  return id;
}
const standstills = (app: ChildApp): string[] =>
  app.said.flatMap((message) => (/stood still for \d{4} ms/.test(message['warned'] ?? '') ? [message['warned']] : []));

describe('a handler that blocks the event loop for three times staleThresholdMs', () => {
  it('is not taken for dead: its log stays its own, its run goes on, others go on after it, and the log of the process says why', async () => {
    const folder = await folderOf();
    const app = await start(folder);
    const { id: beside } = await app.ask('submit', { name: 'innocent', params: { input: { ms: 500 } } });
    const id = await block(app);
    const other = await folder.system();
    expect(EventLogLockedError.is(await other.initialize().catch((error: unknown) => error))).toBe(true);
    expect(app.said).not.toContainEqual({ unblocked: id });
    expect(await app.ask('result', { ref: { taskId: id } })).toMatchObject({ result: { fence: 1 } });
    expect(await app.ask('result', { ref: { taskId: beside } })).toMatchObject({ result: { fence: 1 } });
    for (const taskId of [id, beside]) expect(await statusOf(app, taskId)).toMatchObject({ attempt: 1, recoveries: 0, fence: 1 });
    expect((await app.ask('stats'))['stats'].flush.restarts).toBe(0);
    await eventually(
      () => standstills(app),
      (warnings) => warnings.length === 1,
    );
  });

  (postgresUrl() === undefined ? it.skip : it)('is reported by a process beside it, which does not run its task', async () => {
    database = await postgresDatabase();
    const blocked = await start(await folderOf());
    const beside = await start(await folderOf());
    const stale = async () => (await beside.ask('stats'))['stats'].recovery.staleElsewhere as number;
    const { id: running } = await blocked.ask('submit', { name: 'hang', params: { input: null } });
    await eventually(
      () => statusOf(beside, running),
      (task) => task?.status === 'running',
    );
    expect(await stale()).toBe(0);
    const id = await block(blocked);
    await eventually(stale, (count) => count > 0);
    expect(blocked.said).not.toContainEqual({ unblocked: id });
    expect(await blocked.ask('result', { ref: { taskId: id } })).toMatchObject({ result: { fence: 1 } });
    await eventually(stale, (count) => count === 0);
    expect(await statusOf(blocked, running)).toMatchObject({ status: 'running', fence: 1, recoveries: 0 });
    expect(beside.said.filter((message) => message['started'] !== undefined)).toEqual([]);
  });
});
