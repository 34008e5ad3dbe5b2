// Runs thousands of tasks whose handlers ignore their signal, and whose late writes come when nobody waits for them. Says what is left.
import { setTimeout as sleep } from 'node:timers/promises';
import { Logger, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { ExecutorService, TaskflowModule, TaskSystem } from 'nestjs-taskflow';

const { options, tasks, slots } = JSON.parse(process.argv[2]);
Logger.overrideLogger(false);

class DeafApp {}
Module({ imports: [TaskflowModule.forRoot({ ...options, hooks: { logger: { log() {}, error() {}, warn() {} } } })] })(DeafApp);
const app = await NestFactory.createApplicationContext(DeafApp, { logger: false, abortOnError: false });
const system = app.get(TaskSystem);
const late = { refused: 0, accepted: 0 };
let writes = [];
let called = 0;
system.defineTask('deaf', {
  retry: { maxAttempts: 1 },
  timeoutMs: 100,
  handler: (_input, ctx) => {
    called++;
    writes.push(() => ctx.progress('too late'));
    return new Promise(() => {}); // never: as a handler that hangs in a driver
  },
});
system.defineTask('quick', { handler: async () => 'done' });
await app.init();

const usedBytes = async () => {
  for (let turn = 0; turn < 4; turn++) {
    globalThis.gc();
    await sleep(10);
  }
  return process.memoryUsage().heapUsed;
};
const ended = () => system.getStats().tasks.failed;

/** Until so many handlers were called: on a busy machine the time of a run may be up before its turn, and then it is not begun. */
async function run(count) {
  const before = { ended: ended(), called };
  for (let rest = count; rest > 0; rest = count - (called - before.called)) {
    const ids = await Promise.all(Array.from({ length: slots }, () => system.submit('deaf', { input: null })));
    await Promise.all(ids.map((task) => system.result(task).catch(() => {})));
    // What a deaf handler does when it wakes up at last.
    const woken = writes;
    writes = [];
    const outcomes = await Promise.allSettled(woken.map(async (write) => write()));
    for (const { status } of outcomes) late[status === 'rejected' ? 'refused' : 'accepted']++;
  }
  return ended() - before.ended;
}

await run(slots); // everything that is made once
const bytesBefore = await usedBytes();
const failed = await run(tasks);
const stats = system.getStats();
const { abandoned, lateWrites } = app.get(ExecutorService).stats;
const after = await system.result(await system.submit('quick', { input: null }));
while (system.getStats().flush.appliedSeq < system.getStats().eventLog.durableSeq) await sleep(50);
await sleep(1_500); // streams of ended tasks are let go: their timers are due before this one
const grownBytes = (await usedBytes()) - bytesBefore;
console.log(
  JSON.stringify({
    failed,
    called,
    after,
    abandoned,
    lateWrites,
    late,
    grownBytes,
    slotsInUse: stats.guard.slotsInUse,
    running: stats.tasks.running,
  }),
);
await app.close();
