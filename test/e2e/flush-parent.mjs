// A process with a task system and its flush worker, to be killed. Says the worker's pid and each acknowledged task.
import { createTaskSystem } from 'nestjs-taskflow';

const [folder] = process.argv.slice(2);
const unlimited = { maxTasksPerWindow: 1_000_000, maxTasksPerUserWindow: 1_000_000, maxQueuedSize: 1_000_000 };
const system = await createTaskSystem({
  repository: { type: 'sqlite', database: `${folder}/tasks.db` },
  eventLog: { eventLogPath: `${folder}/log/events.log`, retentionCount: 1000, minFreeBytes: 0 },
  flush: { flushIntervalMs: 20, maxBatchSize: 50 },
  guard: { backpressure: unlimited },
});
system.defineTask('count', {
  handler: async (input, ctx) => {
    await ctx.progress({ half: input.n / 2 });
    return { n: input.n };
  },
});
await system.initialize();
process.send({ workerPid: system.getStats().flush.workerPid });
for (let n = 0; ; n++) {
  const task = await system.submit('count', { input: { n } });
  process.send({ acknowledged: task.id });
}
