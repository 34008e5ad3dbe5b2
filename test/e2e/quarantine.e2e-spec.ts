import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { Task, TaskEvent, TaskflowOptionsInput, TaskSystem } from 'nestjs-taskflow';
import { DataSource } from 'typeorm';
import { eventually } from '../support/clock/patience.js';
import { caughtUp, TestFolder } from '../support/process/task-system.js';

let folder: TestFolder;
let runs: Map<string, number>;
beforeEach(async () => {
  folder = await TestFolder.create();
  runs = new Map();
});
afterEach(() => folder.dispose());

/** The flush in a process of its own, as by default; the log keeps nothing that the database can be asked for. */
async function start(more: TaskflowOptionsInput = {}): Promise<TaskSystem> {
  const system = await folder.system({ flush: { worker: 'process', flushIntervalMs: 20 }, ...more });
  system.defineTask('steps', {
    handler: async ({ label }: { label: string }, ctx) => {
      runs.set(label, (runs.get(label) ?? 0) + 1);
      for (let n = 1; n <= 5; n++) await ctx.progress({ n });
      if (label.startsWith('fails')) throw new Error('no');
      return { label };
    },
    retry: { maxAttempts: 1 },
  });
  await system.initialize();
  return system;
}

/** The database refuses rows of tasks of this user where the condition holds: its own error, for as long as the trigger is there. */
async function refuse(userId: string, condition: string): Promise<void> {
  const database = await new DataSource({ type: 'sqlite', database: folder.file('tasks.db') }).initialize();
  await database.query(
    `CREATE TRIGGER refuse_${userId} BEFORE INSERT ON taskflow_tasks WHEN NEW.user_id = '${userId}' AND ${condition} BEGIN SELECT RAISE(ABORT, 'poisoned'); END`,
  );
  await database.destroy();
}

const submit = (system: TaskSystem, label: string, userId: string): Promise<Task> =>
  system.submit('steps', { input: { label }, userId, idempotencyKey: `key-${label}` });
async function history(system: TaskSystem, task: Task, lastSeq = 0): Promise<string[]> {
  const events: TaskEvent[] = [];
  for await (const event of system.subscribe(task, { lastSeq })) events.push(event);
  return events.map(({ seq, type }) => `${seq} ${type}`);
}

const WHOLE = ['1 created', '2 start', '3 progress', '4 progress', '5 progress', '6 progress', '7 progress', '8 complete'];

describe('A task that the database refuses', () => {
  it.each([
    ['its end', `NEW.status = 'completed'`],
    ['the middle', 'NEW.last_seq >= 4'],
    ['everything', '1'],
  ])('P6, P7: has ended after a restart, and is not run again: %s', async (_, condition) => {
    const first = await start();
    await refuse('eve', condition);
    const poisoned = await submit(first, 'bad', 'eve');
    const failed = await submit(first, 'fails', 'eve');
    const sound = await submit(first, 'good', 'ada');
    expect(await first.result(poisoned)).toEqual({ label: 'bad' });
    await first.result(sound);
    await first.result(failed).catch(() => undefined);
    await caughtUp(first);
    expect(first.getStats().flush).toMatchObject({ breaker: 'closed' });
    await first.shutdown();

    const second = await start();
    const stats = await eventually(
      () => second.getStats(),
      ({ status, flush }) => status === 'running' && flush.deadEntries > 0,
    );
    expect(stats.tasks).toMatchObject({ recovered: 0, queued: 0, running: 0 });
    expect(await second.getStatus(poisoned)).toMatchObject({
      status: 'completed',
      result: { label: 'bad' },
      lastSeq: 8,
      input: { label: 'bad' },
    });
    expect(await history(second, poisoned)).toEqual(WHOLE);
    expect(await history(second, poisoned, 5)).toEqual(WHOLE.slice(5));
    expect(await history(second, sound)).toEqual(WHOLE);
    const again = await submit(second, 'bad', 'eve');
    expect([again.id, again.status]).toEqual([poisoned.id, 'completed']);
    expect((await second.list({ userId: 'eve' })).items.map(({ id, status }) => [id, status])).toEqual([
      [failed.id, 'failed'],
      [poisoned.id, 'completed'],
    ]);
    expect((await second.list({ deadLettered: true })).items.map(({ id }) => id)).toEqual([failed.id]);
    await caughtUp(second);
    expect(Object.fromEntries(runs)).toEqual({ bad: 1, fails: 1, good: 1 });
  });

  it('P1: waits on, and runs once, when even its submission is what the database refuses', async () => {
    const first = await start({ executor: { enabled: false } });
    await refuse('eve', '1');
    const poisoned = await submit(first, 'bad', 'eve');
    const sound = await submit(first, 'good', 'ada');
    await caughtUp(first);
    await first.shutdown();
    expect(runs.size).toBe(0);

    const second = await start();
    await eventually(
      () => second.getStats().flush.deadEntries,
      (n) => n > 0,
    );
    expect((await second.getStatus(poisoned))?.id).toBe(poisoned.id);
    expect(await second.result(poisoned)).toEqual({ label: 'bad' });
    expect(await second.result(sound)).toEqual({ label: 'good' });
    await caughtUp(second);
    expect(await history(second, poisoned)).toEqual(WHOLE);
    await second.shutdown();

    const third = await start();
    expect(await third.getStatus(poisoned)).toMatchObject({ status: 'completed', lastSeq: 8 });
    expect(third.getStats().tasks).toMatchObject({ recovered: 0, queued: 0 });
    expect(Object.fromEntries(runs)).toEqual({ bad: 1, good: 1 });
  });
});
