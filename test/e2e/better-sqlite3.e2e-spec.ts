import { createRequire } from 'node:module';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { TaskSystem } from 'nestjs-taskflow';
import { caughtUp, TestFolder } from '../support/process/task-system.js';

/** It is compiled where it is used, not in development: `npm install --no-save better-sqlite3@12` for this test. */
const whyNot = ((): string | undefined => {
  try {
    const Database = createRequire(import.meta.url)('better-sqlite3') as new (file: string) => { close(): void };
    new Database(':memory:').close();
    return undefined;
  } catch (error) {
    return (error as Error).message.split('\n')[0];
  }
})();
const suite = whyNot === undefined ? describe.each(['process', 'inline'] as const) : describe.skip.each(['process'] as const);

suite(`Rows through better-sqlite3${whyNot === undefined ? '' : ` (SKIPPED: ${whyNot})`}, flush %s`, (worker) => {
  let folder: TestFolder;
  beforeEach(async () => {
    folder = await TestFolder.create();
  });
  afterEach(() => folder.dispose());

  async function start(type: 'sqlite' | 'better-sqlite3'): Promise<TaskSystem> {
    const system = await folder.system({
      repository: { type, database: folder.file('tasks.db') },
      flush: { worker, flushIntervalMs: 20 },
      executor: { retry: { maxAttempts: 1 } },
    });
    system.defineTask('echo', {
      handler: async (input: { n: number }, ctx) => {
        await ctx.progress({ n: input.n });
        if (input.n === 3) throw new Error('three');
        return input;
      },
    });
    await system.initialize();
    return system;
  }

  it('are those of sqlite3: written by one, read by the other, with keys, lists, tags, events and dead letters', async () => {
    const first = await start('better-sqlite3');
    const tasks = await Promise.all(
      Array.from({ length: 200 }, (_, n) => first.submit('echo', { input: { n }, idempotencyKey: `key ${n}`, tags: [`t${n % 2}`] })),
    );
    await Promise.all(tasks.map((task) => first.result(task).catch(() => undefined)));
    await caughtUp(first);
    await first.shutdown();

    for (const type of ['sqlite', 'better-sqlite3'] as const) {
      const system = await start(type);
      expect(await system.submit('echo', { input: { n: 7 }, idempotencyKey: 'key 7', tags: ['t1'] })).toMatchObject({
        id: tasks[7]!.id,
        status: 'completed',
        result: { n: 7 },
        progress: { n: 7 },
      });
      expect((await system.list({ tag: 't1', status: 'completed', limit: 500 })).items).toHaveLength(99);
      expect((await system.deadLetters.list()).items).toMatchObject([{ id: tasks[3]!.id, error: { message: 'three' } }]);
      const seqs: (number | undefined)[] = [];
      for await (const { seq } of system.subscribe(tasks[9]!)) seqs.push(seq);
      expect(seqs).toEqual([1, 2, 3, 4]);
      expect(system.getStats()).toMatchObject({ status: 'running', flush: { deadEntries: 0 } });
      await system.shutdown();
    }
  });
});
