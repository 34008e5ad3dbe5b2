import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { isAsFast, SteadyApp } from '../support/process/steady-app.js';
import { TestFolder } from '../support/process/task-system.js';

const WARM_UP_S = 3;
const MEASURED_S = Number(process.env['TASKFLOW_TEST_HELD_S'] ?? 8);
const PER_SECOND = Number(process.env['TASKFLOW_TEST_SUBMITS_PER_SECOND'] ?? 1000);

let folder: TestFolder;
let app: SteadyApp | undefined;
beforeEach(async () => {
  folder = await TestFolder.create();
});
afterEach(async () => {
  await app?.kill();
  app = undefined;
  await folder.dispose();
});

describe("A host's own transaction on the same SQLite file, in the same process", () => {
  // Inline, what waits for the lock is in this process too, and shares libuv's threads with the log's sync.
  it.each(['process', 'inline'] as const)(
    'costs submits nothing while it holds the write lock, flush %s',
    async (worker) => {
      const database = folder.file('app.db');
      app = await SteadyApp.start({
        ...folder.options({ repository: { type: 'sqlite', database }, flush: { worker, flushIntervalMs: 20 } }),
        hooks: undefined,
      });
      await app.offer(PER_SECOND, WARM_UP_S, [], 'steps');
      const { load: before } = await app.offer(PER_SECOND, MEASURED_S, [], 'steps');
      await app.begin(database);
      const { load: during, seen } = await app.offer(PER_SECOND, MEASURED_S, before.acked, 'steps');
      const { flush, eventLog } = await app.stats();
      await app.commit();
      expect(seen.wrong).toEqual([]);
      expect([...before.refused, ...during.refused]).toEqual([]);
      expect([before.acked.length, during.acked.length]).toEqual([PER_SECOND * MEASURED_S, PER_SECOND * MEASURED_S]);
      expect(eventLog.durableSeq - flush.appliedSeq).toBeGreaterThanOrEqual(during.acked.length); // it was held all the while
      expect(isAsFast(`host transaction, flush ${worker}`, before, during)).toBe(true);
    },
    120_000,
  );
});
