// A process that gets everything ready, starts its task system when it is told to, and runs one task when it is told to.
import { setTimeout as sleep } from 'node:timers/promises';
import { createTaskSystem } from 'nestjs-taskflow';

const { folder, repository } = JSON.parse(process.argv[2]);
const system = await createTaskSystem({
  repository,
  eventLog: { eventLogPath: `${folder}/${process.pid}/events.log`, minFreeBytes: 0 },
  flush: { flushIntervalMs: 20 },
  hooks: { logger: { log() {}, error() {}, warn() {} } },
});
system.defineTask('double', { handler: async ({ n }) => n * 2 });

const steps = {
  start: async () => {
    await system.initialize();
    return system.getStats().status;
  },
  run: async () => system.result(await system.submit('double', { input: { n: process.pid } })),
  stop: async () => {
    // A shutdown waits for the database only so long, and a busy machine longer.
    while (system.getStats().flush.appliedSeq < system.getStats().eventLog.durableSeq) await sleep(5);
    await system.shutdown();
    const { appliedSeq } = system.getStats().flush;
    return appliedSeq === system.getStats().eventLog.durableSeq;
  },
};
const take = async (step) => {
  const answer = await steps[step]().then(
    (value) => ({ value }),
    (error) => ({ error: `${error.name} ${error.code ?? ''}: ${error.message}` }),
  );
  process.send(answer);
  if (step === 'stop') process.disconnect();
};
process.on('message', (step) => void take(step));
process.send({ value: 'ready' });
