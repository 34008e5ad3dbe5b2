import { execFile } from 'node:child_process';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import {
  EventLogCorruptError,
  StreamOverflowError,
  type Task,
  type TaskEvent,
  type TaskSystem,
  type TaskflowOptionsInput,
} from 'nestjs-taskflow';
import { MemoryTaskRepository } from '../support/doubles/memory-task-repository.js';
import { eventually } from '../support/clock/patience.js';
import { TestFolder } from '../support/process/task-system.js';

const CLI = fileURLToPath(new URL('../../dist/cli/taskflow.js', import.meta.url));
const UNFLUSHED = { flush: { flushIntervalMs: 3_600_000, maxBatchSize: 1_000_000 } };
/** Nobody listens there. */
const AWAY: TaskflowOptionsInput = { repository: { type: 'postgres', host: '127.0.0.1', port: 1, database: 'none' } };

let folder: TestFolder;
beforeEach(async () => void (folder = await TestFolder.create()));
afterEach(() => folder.dispose());

/** `blocked`: task `a` waits after its second step for the end of its process. */
async function open(more: TaskflowOptionsInput = {}, { life = 'first', blocked = false } = {}): Promise<TaskSystem> {
  const system = await folder.system(more);
  system.defineTask('steps', {
    handler: async (input: string, ctx) => {
      for (let n = 1; n <= 5; n++) {
        await ctx.progress({ step: `${life}-${input}-${n}` });
        if (blocked && input === 'a' && n === 2)
          await new Promise((_, reject) => ctx.signal.addEventListener('abort', () => reject(new Error('stop'))));
      }
      return `${input} is done`;
    },
  });
  await system.initialize();
  return system;
}

async function run(system: TaskSystem, input: string): Promise<Task> {
  const task = await system.submit('steps', { input });
  await system.result(task);
  return task;
}

/** One bit of the entry that holds the text; sound frames lie behind it. */
async function damage(text: string): Promise<void> {
  for (const name of await readdir(folder.path)) {
    if (!/^events-\d{16}\.log$/.test(name)) continue;
    const bytes = await readFile(folder.file(name));
    const at = bytes.indexOf(text);
    if (at < 0) continue;
    bytes[at]! ^= 1;
    return writeFile(folder.file(name), bytes);
  }
  throw new Error(`No entry holds ${text}.`);
}

async function repair(more: TaskflowOptionsInput = {}, where = ['--database', folder.file('tasks.db')]): Promise<void> {
  const refused: unknown = await open(more).catch((error: unknown) => error);
  expect(EventLogCorruptError.is(refused)).toBe(true);
  const args = [CLI, 'log', 'repair', folder.file('events.log'), ...where, '--yes'];
  expect((await promisify(execFile)(process.execPath, args)).stdout).toMatch(/^LOST +entries \d+ to \d+$/m);
}

/** What a subscriber gets after a position, and what ends it. */
async function follow(system: TaskSystem, task: Task, lastSeq: number): Promise<{ events: string[]; end: unknown }> {
  const events: string[] = [];
  try {
    for await (const event of system.subscribe(task, { lastSeq })) events.push(shown(event));
    return { events, end: undefined };
  } catch (end) {
    return { events, end };
  }
}
const shown = ({ seq, type, payload }: TaskEvent): string => `${seq} ${type === 'progress' ? (payload as { step: string }).step : type}`;
const caughtUp = (system: TaskSystem) =>
  eventually(
    () => system.getStats(),
    ({ flush, eventLog }) => flush.appliedSeq === eventLog.durableSeq,
  );

interface Scene {
  readonly task: Task;
  readonly sound: Task;
  /** Of the entry that is lost. */
  readonly lost: number;
  readonly all: readonly string[];
}

/** Nothing of it is in the database. */
async function unflushed(): Promise<Scene> {
  const system = await open(UNFLUSHED);
  // One after the other: what shares a frame is lost together.
  const [task, sound] = [await run(system, 'a'), await run(system, 'b')];
  const { events } = await follow(system, task, 0);
  await system.shutdown({ force: true });
  await damage('first-a-3');
  return { task, sound, lost: 5, all: events };
}

/** The database has the task up to its first release; the hole is behind that. */
async function halfFlushed(more: TaskflowOptionsInput = {}): Promise<Scene> {
  const first = await open(more, { blocked: true });
  const [sound, task] = [await run(first, 'b'), await first.submit('steps', { input: 'a' })];
  await eventually(
    () => first.getStatus(task),
    (state) => state!.lastSeq === 4,
  );
  await first.shutdown({ timeoutMs: 0 });
  const second = await open({ ...more, ...UNFLUSHED }, { life: 'second' });
  await second.result(task);
  const { events } = await follow(second, task, 0);
  expect(second.getStats().flush.appliedSeq).toBeGreaterThan(0);
  await second.shutdown({ force: true });
  await damage('second-a-3');
  return { task, sound, lost: events.findIndex((event) => event.endsWith('second-a-3')) + 1, all: events };
}

async function expectWhole(system: TaskSystem, { task, sound, lost, all }: Scene): Promise<void> {
  expect(await system.getStatus(task)).toMatchObject({ status: 'completed', lastSeq: all.length, result: 'a is done', attempt: 1 });
  expect(await system.getStatus(sound)).toMatchObject({ status: 'completed', result: 'b is done' });
  expect(await system.result(task)).toBe('a is done');
  expect((await system.list({ status: 'completed' })).items.map(({ id }) => id).sort()).toEqual([task.id, sound.id].sort());
  // What is before the hole, the word that there is one, and from behind it to the end.
  const before = await follow(system, task, 0);
  expect(before.events).toEqual(all.slice(0, lost - 1));
  expect(StreamOverflowError.is(before.end)).toBe(true);
  expect(before.end).toMatchObject({ requestedSeq: lost - 1, firstAvailableSeq: lost + 1 });
  expect(await follow(system, task, lost)).toEqual({ events: all.slice(lost), end: undefined });
  expect((await follow(system, sound, 0)).end).toBeUndefined();
  const refused: unknown = await system.sse(task, { lastSeq: lost - 1 }).catch((error: unknown) => error);
  expect(StreamOverflowError.is(refused)).toBe(true);
}

describe.each([
  ['nothing of it was in the database', unflushed],
  ['a part was in the database, and the hole is behind that', halfFlushed],
])('A repaired log, when %s,', (_label, make) => {
  it('opens, and says the same of the task that lost an entry before the flush, after it, and at every later start', async () => {
    const scene = await make();
    await repair();
    const system = await open(UNFLUSHED);
    await expectWhole(system, scene);
    await system.shutdown({ force: true });
    const flushing = await open();
    await caughtUp(flushing);
    await eventually(
      () => flushing.getStats().flush.deadEntries,
      (dead) => dead > 0,
    );
    await expectWhole(flushing, scene);
    await flushing.shutdown();
    const again = await open();
    await expectWhole(again, scene);
    // The task can be acted upon as any other, and others go on.
    await run(again, 'c');
    await caughtUp(again);
  });

  it('opens without the database, and gives no event as another one', async () => {
    const { task, sound, lost, all } = await make();
    await repair();
    const system = await open(AWAY);
    expect(system.getStats().status).toBe('degraded');
    for (const each of [task, sound]) expect((await system.getStatus(each))!.status).toBe('completed');
    const stream = system.subscribe(task)[Symbol.asyncIterator]();
    const events: string[] = [];
    for (let n = 1; n < lost; n++) events.push(shown((await stream.next()).value as TaskEvent));
    expect(events).toEqual(all.slice(0, lost - 1));
    await stream.return?.();
    expect(await follow(system, task, lost)).toEqual({ events: all.slice(lost), end: undefined });
  });
});

describe('A repaired log that lost its first entries', () => {
  it.each([
    ['of which the database had nothing', UNFLUSHED],
    ['of which the database had all', {}],
  ])('opens, %s: with it, without it, and beside a fresh one', async (_label, more) => {
    const first = await open(more);
    const [, sound] = [await run(first, 'a'), await run(first, 'b')];
    if (more !== UNFLUSHED) await caughtUp(first);
    await first.shutdown({ force: true });
    await damage('"input":"a"');
    await repair();
    for (const where of [UNFLUSHED, AWAY, {}, { repository: { type: 'custom' as const, repository: new MemoryTaskRepository() } }]) {
      const system = await open(where);
      expect(await system.getStatus(sound)).toMatchObject({ status: 'completed', result: 'b is done' });
      expect((await follow(system, sound, 0)).end).toBeUndefined();
      await run(system, 'c');
      if (where !== UNFLUSHED && where !== AWAY) await caughtUp(system);
      await system.shutdown({ force: true });
    }
  });
});

describe('A repaired log beside a custom repository', () => {
  it('opens and is flushed: the repository is never given a gap, and what others do goes on', async () => {
    const repository = new MemoryTaskRepository();
    const more: TaskflowOptionsInput = { repository: { type: 'custom', repository } };
    const { task, lost, all } = await halfFlushed(more);
    await repair(more, []);
    const system = await open({ ...more, ...UNFLUSHED });
    expect(await system.getStatus(task)).toMatchObject({ status: 'completed', lastSeq: all.length, result: 'a is done' });
    await system.shutdown({ force: true });
    const flushing = await open(more);
    await run(flushing, 'c');
    await caughtUp(flushing);
    expect(await flushing.getStatus(task)).toMatchObject({ status: 'completed', lastSeq: all.length, result: 'a is done' });
    const { events } = await follow(flushing, task, 0);
    expect(events).toEqual(all.map((event, at) => (at === lost - 1 ? `${lost} custom` : event)));
    expect(repository.events.get(task.id)![lost - 1]).toMatchObject({ type: 'custom', eventName: 'taskflow.entry-lost' });
  });
});
