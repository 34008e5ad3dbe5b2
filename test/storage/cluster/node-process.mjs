// One node of a cluster, as a process that can be killed. With `submits` it makes that many tasks, watches each to its end, and says what it saw.
import { createTaskSystem } from '../../../dist/index.js';

const { repository, submits } = JSON.parse(process.argv[2]);
const system = await createTaskSystem({
  engine: 'cluster',
  repository,
  cluster: { leaseTtlMs: 3_000, beatIntervalMs: 500, maxExecutionPerNode: 5 },
  guard: { slots: { maxExecutionGlobal: 100 } },
});
system.defineTask('work', {
  handler: async (_input, ctx) => {
    for (let step = 0; step < 5; step++) {
      await ctx.progress(step);
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
    return ctx.fence;
  },
});
await system.initialize();
process.stdout.write('ready\n');
if (submits !== undefined) {
  const tasks = await Promise.all(Array.from({ length: submits }, (_, n) => system.submit('work', { input: n, userId: `user-${n}` })));
  const fences = await Promise.all(tasks.map((task) => system.result(task)));
  const positions = await Promise.all(
    tasks.map(async (task) => {
      const seen = [];
      for await (const { seq } of system.subscribe(task)) seen.push(seq);
      return seen;
    }),
  );
  const whole = positions.filter((seen) => seen.every((seq, at) => seq === at + 1)).length;
  process.stdout.write(`${JSON.stringify({ fences, whole })}\n`);
  await system.shutdown();
}
process.on('SIGTERM', () => void system.shutdown().then(() => process.exit(0)));
