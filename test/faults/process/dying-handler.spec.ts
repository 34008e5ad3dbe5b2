import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { TaskflowOptionsInput } from 'nestjs-taskflow';
import { ChildApp } from '../../support/process/child-app.js';
import { scaled } from '../../support/oracle/fault-scale.js';
import { eventually } from '../../support/clock/patience.js';
import { TestFolder } from '../../support/process/task-system.js';

const HARMFUL = new URL('./harmful-tasks.mjs', import.meta.url);
const INNOCENTS = scaled(20, 50);
const MAX_RECOVERIES = 5;

let folder: TestFolder;
let apps: ChildApp[];

beforeEach(async () => {
  folder = await TestFolder.create();
  apps = [];
});
afterEach(async () => {
  for (const app of apps) await app.kill();
  await folder.dispose();
});

function spawn(more: TaskflowOptionsInput = {}): ChildApp {
  const slots = { maxExecutionGlobal: INNOCENTS + 10, maxExecutionPerUser: INNOCENTS + 10 };
  const options = folder.options({ flush: { worker: 'process' }, ...more });
  const app = ChildApp.spawnWith({ ...options, guard: { ...options['guard'], slots }, hooks: undefined }, HARMFUL);
  apps.push(app);
  return app;
}
const statusOf = async (app: ChildApp, id: string) => (await app.ask('status', { ref: { taskId: id } }))['task'];
/** False: the process died before. */
async function hasFailed(app: ChildApp, id: string): Promise<boolean> {
  const died = app.exited().then(() => null);
  const task = await eventually(
    () => Promise.race([died, statusOf(app, id)]),
    (seen) => seen === null || seen.status === 'failed',
  );
  return task !== null;
}
const typesOf = async (app: ChildApp, id: string): Promise<string[]> =>
  (await app.ask('events', { ref: { taskId: id }, lastSeq: 0 }))['events'].map((event: { type: string }) => event.type);

describe('a handler that ends its process', () => {
  it.each([
    ['by process.exit', 'exit', { code: 0, signal: null }, ''],
    ['by an exception in a timer', 'exception', { code: 1, signal: null }, 'TypeError'],
    ['by a rejection that nobody handles', 'rejection', { code: 1, signal: null }, 'nobody waits for this'],
  ])('%s is recovered at the next start, and counts as a crash', async (_how, harm, end, says) => {
    const first = await spawn().ready();
    const { id: beside } = await first.ask('submit', { name: 'innocent', params: { input: { ms: 60_000 } } });
    const { id } = await first.ask('submit', { name: 'harmful', params: { input: { harm } } });
    expect(await first.exited()).toEqual(end);
    expect(first.stderr).toContain(says);
    const second = await spawn().ready();
    expect(await second.ask('result', { ref: { taskId: id } })).toMatchObject({ result: { survived: harm } });
    expect(await statusOf(second, id)).toMatchObject({ status: 'completed', recoveries: 1, fence: 2, attempt: 1 });
    expect(await typesOf(second, id)).toEqual(['created', 'start', 'progress', 'recovered', 'start', 'complete']);
    expect(await statusOf(second, beside)).toMatchObject({ status: 'running', recoveries: 1 });
  });
});

describe('a task that kills its process each time it runs', () => {
  it(`fails after ${MAX_RECOVERIES} recoveries, and ${INNOCENTS} tasks beside it complete`, async () => {
    let app = await spawn({ recovery: { maxRecoveriesPerTask: MAX_RECOVERIES } }).ready();
    const innocents: string[] = [];
    const submit = async (name: string) => (await app.ask('submit', { name, params: { input: { ms: 150 } } }))['id'] as string;
    // Submitted at once: all of them run when the first one dies, and again when the second one does.
    const made = Array.from({ length: INNOCENTS }, (_, at) => (at === INNOCENTS / 2 ? 'lethal' : 'innocent')).map(submit);
    const last = submit('innocent');
    const ids = await Promise.all([...made, last]);
    const lethal = ids[INNOCENTS / 2]!;
    innocents.push(...ids.filter((id) => id !== lethal));
    let deaths = 0;
    for (; !(await hasFailed(app, lethal)); deaths++) {
      expect(app.said).toContainEqual({ dies: lethal });
      app = await spawn({ recovery: { maxRecoveriesPerTask: MAX_RECOVERIES } }).ready();
    }
    expect(deaths).toBe(MAX_RECOVERIES + 1);
    expect(await statusOf(app, lethal)).toMatchObject({ status: 'failed', error: { code: 'CRASH_LOOP', retryable: false } });
    const ends = await Promise.all(
      innocents.map((id) =>
        eventually(
          () => statusOf(app, id),
          (task) => task.completedAt !== null,
        ),
      ),
    );
    expect(new Set(ends.map((task) => task.status))).toEqual(new Set(['completed']));
    // They did die with it, and twice at most: from then on it runs alone.
    expect(Math.max(...ends.map((task) => task.recoveries))).toBeGreaterThan(0);
    expect(Math.max(...ends.map((task) => task.recoveries))).toBeLessThanOrEqual(2);
  });
});

describe('a deploy without a handler', () => {
  it('parks its tasks, warns once per name, and the next one with the handler runs them all', async () => {
    const first = await spawn({ executor: { enabled: false } }).ready();
    const ids: string[] = [];
    for (let n = 0; n < 20; n++) {
      const name = n % 2 === 0 ? 'old-import' : 'old-report';
      ids.push((await first.ask('submit', { name, params: { input: { n } } }))['id']);
    }
    await first.kill();
    process.env['WITHOUT_HANDLER'] = '1';
    try {
      // Twice: a parked task outlives the deploys that cannot run it.
      for (let deploy = 0; deploy < 2; deploy++) {
        const without = await spawn().ready();
        const { stats } = await eventually(
          () => without.ask('stats'),
          (answer) => answer['stats'].tasks.withoutHandler === ids.length,
        );
        expect(stats.tasks).toMatchObject({ queued: 0, delayed: 0, running: 0, failed: 0 });
        const warnings = without.said.map((message) => message['warned'] as string | undefined).filter((text) => text !== undefined);
        for (const name of ['old-import', 'old-report']) expect(warnings.filter((text) => text.includes(name))).toHaveLength(1);
        expect(await statusOf(without, ids[0]!)).toMatchObject({ status: 'created', fence: 0 });
        await expect(without.ask('submit', { name: 'old-import', params: { input: { n: 1 } } })).rejects.toMatchObject({
          name: 'HandlerNotFoundError',
        });
        await (deploy === 0 ? without.kill() : without.ask('shutdown'));
      }
    } finally {
      delete process.env['WITHOUT_HANDLER'];
    }
    const last = await spawn().ready();
    const results = await Promise.all(ids.map((id) => last.ask('result', { ref: { taskId: id } })));
    expect(results.map((answer) => answer['result'])).toEqual(ids.map((_, n) => n * 2));
  });
});
