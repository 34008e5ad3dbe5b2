import { countDisk } from './counted-disk.mjs';

const WAVE = 50;

/** Finished tasks of which the database has nothing: the flush worker is stopped in its tracks. To be killed by the caller. */
export async function run({ folder, tasks }) {
  countDisk();
  const { openSystem } = await import('../systems/taskflow.mjs');
  const { system } = await openSystem({ noop: async () => undefined }, { folder, flush: { flushIntervalMs: 600_000 } });
  const { workerPid } = system.getStats().flush;
  process.kill(workerPid, 'SIGSTOP');
  const once = async () => system.result(await system.submit('noop', { input: { a: 1 } }));
  for (let made = 0; made < tasks; made += WAVE) await Promise.all(Array.from({ length: WAVE }, once));
  return { calls: {}, ready: { workerPid, flushedEntries: system.getStats().flush.appliedSeq } };
}
