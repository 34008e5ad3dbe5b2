// A script that submits, waits for its results, and has nothing else that would keep its process alive.
import { writeSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { Logger } from '@nestjs/common';
import { createTaskSystem } from 'nestjs-taskflow';

Logger.overrideLogger(false); // stdout carries what the script tells

const tell = (message) => writeSync(1, `${JSON.stringify(message)}\n`);
const silent = { log() {}, error() {}, warn() {}, debug() {}, verbose() {}, fatal() {} };
const { tasks, ...options } = JSON.parse(process.argv[2]);
const system = await createTaskSystem({ ...options, hooks: { logger: silent } });
system.defineTask('talks', {
  handler: async (input, ctx) => {
    // Refused for want of room, it waits for the log, and the run's end waits for it; the handler does not.
    while (system.getStats().eventLog.state === 'open') await ctx.progress({ text: 'x'.repeat(2_000) });
    void ctx.progress({ last: input });
    return input;
  },
});
await system.initialize();
tell({ ready: process.pid });
const lines = createInterface({ input: process.stdin });
await new Promise((resolve) => lines.once('line', resolve));
lines.close();
process.stdin.destroy();
const submitted = await Promise.all(Array.from({ length: tasks }, (_, n) => system.submit('talks', { input: n })));
const waiting = Promise.all(submitted.map((task) => system.result(task)));
while (system.getStats().eventLog.state === 'open') await new Promise((resolve) => setTimeout(resolve, 5));
tell({ full: system.getStats().tasks });
tell({ results: await waiting });
await system.shutdown();
tell({ down: true });
