import { inFlight } from '../core/load.mjs';
import { CALLERS, INPUT } from '../core/settings.mjs';
import { flushed, openSystem } from '../systems/taskflow.mjs';

/** Leaves that many entries in the log that the database lacks: the flush worker is stopped in its tracks. To be killed by the caller. */
export async function run({ folder, entries }) {
  const { system } = await openSystem({ noop: async () => undefined }, { folder, executor: { enabled: false } });
  await inFlight(1_000, CALLERS, () => system.submit('noop', { input: INPUT }));
  await flushed(system);
  const { workerPid } = system.getStats().flush;
  process.kill(workerPid, 'SIGSTOP');
  await inFlight(entries, CALLERS, () => system.submit('noop', { input: INPUT }));
  const { eventLog, flush } = system.getStats();
  return { calls: {}, ready: { workerPid, unflushed: eventLog.durableSeq - flush.appliedSeq } };
}
