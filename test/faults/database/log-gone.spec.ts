import { readdir, rm } from 'node:fs/promises';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { RepositoryError, type TaskSystem } from 'nestjs-taskflow';
import { readRows } from '../../support/oracle/log-and-rows.js';
import { eventually } from '../../support/clock/patience.js';
import { TestFolder } from '../../support/process/task-system.js';

let folder: TestFolder;
beforeEach(async () => {
  folder = await TestFolder.create();
});
afterEach(() => folder.dispose());

async function start(): Promise<TaskSystem> {
  const system = await folder.system({
    repository: { type: 'sqlite', database: folder.file('db/tasks.db') },
    eventLog: { eventLogPath: folder.file('log/events.log') },
    flush: { worker: 'process', flushIntervalMs: 20 },
    recovery: { scanIntervalMs: 100 },
  });
  system.defineTask('quick', { handler: async (input) => ({ echo: input }) });
  await system.initialize();
  return system;
}

async function stopAndLoseLog(system: TaskSystem): Promise<void> {
  await eventually(
    () => system.getStats(),
    ({ flush, eventLog, tasks }) => tasks.running === 0 && flush.appliedSeq === eventLog.durableSeq,
  );
  await system.shutdown();
  await rm(folder.file('log'), { recursive: true });
}

describe('A log that was deleted while its SQLite database remains', () => {
  it('is missed as long as the database has unfinished tasks of it: refused each time, both positions named, nothing changed', async () => {
    const first = await start();
    await first.result(await first.submit('quick', { input: 1 }));
    await first.submit('quick', { input: 2, delayMs: 3_600_000 });
    await stopAndLoseLog(first);
    const before = await readRows(folder.file('db/tasks.db'));
    for (let attempt = 1; attempt <= 2; attempt++) {
      const refused = await start().catch((error: unknown) => error);
      expect(RepositoryError.is(refused) && refused.code).toBe('UNADOPTED_HOME');
      const { message } = refused as Error;
      expect(message).toContain(`${folder.file('log/events.log')} is empty`);
      expect(message).toContain(`flushed up to entry ${before.appliedSeqs[0]}, 1 unfinished`);
      expect(message).toContain('npx taskflow log adopt');
    }
    expect(await readRows(folder.file('db/tasks.db'))).toEqual(before);
  });

  it('begins anew beside ended tasks, which stay readable, keep their keys, and are not mixed with the new ones', async () => {
    const first = await start();
    const params = { input: { n: 1 }, userId: 'ann', idempotencyKey: 'order-1' };
    const old = await first.submit('quick', params);
    await first.result(old);
    await stopAndLoseLog(first);

    const second = await start();
    expect(await second.getStatus(old)).toMatchObject({ status: 'completed', lastSeq: 3 });
    expect((await second.submit('quick', params)).id).toBe(old.id);
    const fresh = await second.submit('quick', { input: { n: 2 } });
    await second.result(fresh);
    await eventually(
      () => readRows(folder.file('db/tasks.db')),
      ({ tasks }) => tasks.get(fresh.id)?.status === 'completed',
    );
    const { tasks, appliedSeqs } = await readRows(folder.file('db/tasks.db'));
    expect([...tasks.values()].map(({ status, events }) => [status, events.length])).toEqual([
      ['completed', 3],
      ['completed', 3],
    ]);
    // A position of its own for each log.
    expect(appliedSeqs).toEqual([3, 3]);
    expect((await readdir(folder.file('log'))).filter((name) => name.endsWith('.log'))).toHaveLength(1);
  });
});
