// A process to be killed. Reads commands, a JSON line each, from stdin; answers on stdout, unbuffered.
import { writeSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { Logger } from '@nestjs/common';
import { createTaskSystem } from 'nestjs-taskflow';

Logger.overrideLogger(false); // stdout carries answers only

delete process.env.LD_PRELOAD; // what a test put under this process is not for the ones that it starts

const tell = (message) => writeSync(1, `${JSON.stringify(message)}\n`);
const quiet = { log() {}, error: (text) => writeSync(2, `${text}\n`), warn: (text) => tell({ warned: text }), debug() {}, verbose() {} };
const options = JSON.parse(process.argv[2]);
if (process.argv[3] !== undefined) process.setuid(Number(process.argv[3]));
const system = await createTaskSystem({ ...options, hooks: { logger: quiet } });

system.defineTask('quick', { handler: async (input) => ({ echo: input }) });
system.defineTask('hang', {
  handler: (input, ctx) =>
    new Promise((_, reject) => {
      tell({ started: ctx.taskId, fence: ctx.fence, attempt: ctx.attempt });
      ctx.signal.addEventListener('abort', () => reject(ctx.signal.reason));
    }),
});
system.defineTask('deaf', { handler: () => new Promise(() => {}) });
system.defineTask('import', {
  handler: async (input, ctx) => {
    await ctx.progress(input);
    tell({ waiting: ctx.taskId });
    await new Promise(() => {});
  },
});
let goOn;
const told = new Promise((resolve) => (goOn = resolve));
system.defineTask('count', {
  handler: async (input, ctx) => {
    tell({ started: ctx.taskId, fence: ctx.fence, attempt: ctx.attempt, previous: ctx.previousEvents.length });
    const done = ctx.previousEvents.filter((event) => event.type === 'progress').at(-1)?.payload.row ?? 0;
    for (let row = done + 1; row <= input.rows; row++) {
      await ctx.progress({ row });
      if (row === input.holdAt) await told;
      if (input.pauseMs > 0) await new Promise((resolve) => setTimeout(resolve, input.pauseMs));
      if (row === input.dieAt && ctx.fence === 1) process.kill(process.pid, 'SIGKILL');
    }
    return { rows: input.rows };
  },
});
// What a test adds: a module that defines more tasks, and answers more commands.
const { CHILD_APP_EXTRA } = process.env;
const more = CHILD_APP_EXTRA === undefined ? {} : (await import(CHILD_APP_EXTRA)).extend(system, tell);
await system.initialize();
tell({ ready: process.pid });

const commands = {
  submit: async ({ name, params }) => ({ id: (await system.submit(name, params)).id }),
  status: async ({ ref, owner }) => ({ task: await system.getStatus(ref, owner) }),
  cancel: async ({ ref, owner }) => ({ task: await system.cancel(ref, owner) }),
  events: async ({ ref, lastSeq }) => {
    const seen = [];
    for await (const event of system.subscribe(ref, { lastSeq })) if (event.seq) seen.push({ seq: event.seq, type: event.type });
    return { events: seen };
  },
  result: async ({ ref }) => ({ result: await system.result(ref) }),
  /** For a count that holds. */
  goOn: async () => goOn(),
  stats: async () => ({ stats: system.getStats() }),
  shutdown: async () => {
    await system.shutdown();
    return { down: true };
  },
  submitThenDie: async ({ count }) => {
    for (let i = 0; i < count; i++) tell({ acked: (await system.submit('quick', { input: { i } })).id });
    process.kill(process.pid, 'SIGKILL');
  },
  ...more,
};
createInterface({ input: process.stdin }).on('line', (line) => {
  const { n, do: name, ...args } = JSON.parse(line);
  commands[name](args).then(
    (answer) => tell({ n, ...answer }),
    (error) =>
      tell({ n, error: { name: error.name, code: error.code, state: error.state, outcome: error.outcome, message: error.message } }),
  );
});
