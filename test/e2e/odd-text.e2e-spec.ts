import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { NonRetryableError, type Task, type TaskSystem } from 'nestjs-taskflow';
import { DATABASES, type TestDatabase } from '../support/database/test-databases.js';
import { eventually } from '../support/clock/patience.js';
import { TestFolder } from '../support/process/task-system.js';

/** Text that is no text somewhere: NUL, lone surrogates, what ends a line of JavaScript or of an event stream, quotes, all planes. */
const ODD = [
  'a\0b',
  '\ud800',
  'x\udfff',
  '\u2028\u2029',
  '\u0007\u001b[31m',
  "'; DROP TABLE taskflow_tasks; --",
  '"\\u0000\\',
  '\u{1F600} né 名',
  '\ufeff',
];
/** As callers may name things. */
const LINES = ["'; DROP TABLE taskflow_tasks; --", '"\\u0000\\', '\u{1F600} né 名', '\ufeff x'];
const UNFLUSHED = { flush: { flushIntervalMs: 3_600_000, maxBatchSize: 1_000_000 } };

for (const { name, available, create } of DATABASES) {
  (available ? describe : describe.skip)(`Text on ${name}`, () => {
    let folder: TestFolder;
    let database: TestDatabase;
    beforeEach(async () => {
      [folder, database] = await Promise.all([TestFolder.create(), create()]);
    });
    afterEach(async () => {
      await folder.dispose();
      await database.drop();
    });

    async function open(more: object): Promise<TaskSystem> {
      const system = await folder.system({ repository: database.options, ...more });
      system.defineTask(LINES[1]!, {
        handler: async (input: { fail: boolean; wait: boolean }, ctx) => {
          for (const text of ODD) {
            await ctx.progress({ [text]: [text] });
            await ctx.emit(LINES[2]!, text);
          }
          if (input.wait) await new Promise((_, reject) => ctx.signal.addEventListener('abort', () => reject(new Error('stop'))));
          if (input.fail) throw Object.assign(new NonRetryableError(ODD.join()), { code: ODD.join() });
          return ODD;
        },
      });
      await system.initialize();
      return system;
    }

    async function shown(system: TaskSystem, tasks: readonly Task[]): Promise<unknown> {
      const all = [];
      for (const task of tasks) {
        const events = [];
        for await (const event of system.subscribe(task)) events.push(event);
        const [{ key, userId }] = [{ key: task.idempotencyKey, userId: task.userId! }];
        all.push({ events, status: await system.getStatus(task), byKey: (await system.getStatus(key, { userId }))!.id });
      }
      const lists = [];
      for (const query of [{}, { name: LINES[1]! }, ...LINES.flatMap((tag) => [{ tag }, { userId: tag }])])
        lists.push((await system.list(query)).items);
      return JSON.parse(JSON.stringify({ all, lists }));
    }

    it('is the same before the flush, after it, and after a restart; nothing of it is set aside', async () => {
      const system = await open(UNFLUSHED);
      const tasks: Task[] = [];
      for (const [at, line] of LINES.entries()) {
        const input = { fail: at === 0, wait: at === 1, odd: Object.fromEntries(ODD.map((text) => [text, text])) };
        tasks.push(await system.submit(LINES[1]!, { input, userId: line, idempotencyKey: line, tags: LINES }));
      }
      await eventually(
        () => system.getStatus(tasks[1]!),
        (task) => task!.lastSeq === 2 + 2 * ODD.length,
      );
      await system.cancel(tasks[1]!, { reason: `${LINES.join()}\n\t` });
      const outcomes = await Promise.allSettled(tasks.map((task) => system.result(task)));
      expect(outcomes.map(({ status }) => status)).toEqual(['rejected', 'rejected', 'fulfilled', 'fulfilled']);
      const before = await shown(system, tasks);
      expect(JSON.stringify(before)).toContain('\\u0000');
      await system.shutdown({ force: true });
      const flushing = await open({});
      await eventually(
        () => flushing.getStats(),
        ({ flush, eventLog }) => flush.appliedSeq === eventLog.durableSeq,
      );
      expect(await shown(flushing, tasks)).toEqual(before);
      await flushing.shutdown();
      const again = await open({});
      expect(await shown(again, tasks)).toEqual(before);
      expect(again.getStats().flush.deadEntries).toBe(0);
    });
  });
}
