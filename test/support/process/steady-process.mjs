// A task system in a process of its own, under a load that does not wait for it: what is measured here is ours alone, not the heap of
// a test runner. Reads commands, a JSON line each, from stdin; answers on stdout.
import { createInterface } from 'node:readline';
import { setTimeout as pause } from 'node:timers/promises';
import { Logger } from '@nestjs/common';
import { createTaskSystem, RepositoryError } from 'nestjs-taskflow';
import { DataSource } from 'typeorm';

Logger.overrideLogger(false); // stdout carries answers only
const tell = (message) => void process.stdout.write(`${JSON.stringify(message)}\n`);
const quiet = { log() {}, error() {}, warn() {}, debug() {}, verbose() {} };
const system = await createTaskSystem({ ...JSON.parse(process.argv[2]), hooks: { logger: quiet } });
system.defineTask('quick', { handler: async ({ n }) => n });
system.defineTask('steps', {
  handler: async ({ n }, ctx) => {
    await ctx.progress({ n });
    return n;
  },
});
await system.initialize();

let recent;

/** Submits at a pace that does not wait for answers, so that a stall is seen by everyone who comes during it. */
async function offer(name, perSecond, seconds) {
  const acked = [];
  const refused = [];
  const latenciesMs = [];
  const submit = async (n) => {
    const at = performance.now();
    try {
      recent = await system.submit(name, { input: { n } });
      latenciesMs.push(performance.now() - at);
      acked.push(recent.id);
    } catch (error) {
      refused.push(String(error));
    }
  };
  const answers = [];
  const startedAt = performance.now();
  for (let sent = 0; sent < perSecond * seconds;) {
    const due = Math.min(perSecond * seconds, Math.ceil(((performance.now() - startedAt) / 1000) * perSecond));
    for (; sent < due; sent++) answers.push(submit(sent));
    await pause(1);
  }
  await Promise.all(answers);
  latenciesMs.sort((a, b) => a - b);
  const quantile = (share) => latenciesMs[Math.min(latenciesMs.length - 1, Math.floor(latenciesMs.length * share))];
  return { acked, refused, p50: quantile(0.5), p99: quantile(0.99) };
}

/** Asks for states all the while. Each answer is the right task, or says that it cannot be known. */
async function watch(old, isOver) {
  const seen = { right: 0, unknowable: 0, wrong: [], breakerOpened: false };
  for (let n = 0; !isOver(); n++) {
    for (const id of [recent?.id, old[n % Math.max(1, old.length)]]) {
      if (id === undefined) continue;
      const state = await system.getStatus({ id }).catch((error) => error);
      if (RepositoryError.is(state)) seen.unknowable++;
      else if (state?.id === id) seen.right++;
      else seen.wrong.push(`the status of ${id} was ${JSON.stringify(state)}`);
    }
    seen.breakerOpened ||= system.getStats().flush.breaker === 'open';
    await pause(20);
  }
  return seen;
}

const errorOf = (promise) =>
  promise.then(
    () => ({ refusal: null }),
    (error) => ({ refusal: error.name }),
  );

/** What else this process does with the same file, on a connection of its own. */
let host;
async function begin(database) {
  host = await new DataSource({ type: 'sqlite', database }).initialize();
  await host.query('CREATE TABLE orders (id INTEGER PRIMARY KEY)');
  await host.query('BEGIN');
  await host.query('INSERT INTO orders VALUES (1)');
}
async function commit() {
  await host.query('COMMIT');
  await host.destroy();
}

const commands = {
  offer: async ({ name, perSecond, seconds, old }) => {
    let isOver = false;
    recent = undefined;
    const watching = watch(old, () => isOver);
    const load = await offer(name, perSecond, seconds).finally(() => (isOver = true));
    return { load, seen: await watching };
  },
  begin: ({ database }) => begin(database),
  commit: commit,
  stats: async () => ({ stats: system.getStats() }),
  submitKeyed: ({ key }) => errorOf(system.submit('quick', { input: { n: 0 }, idempotencyKey: key })),
  status: ({ id }) => errorOf(system.getStatus({ taskId: id })),
  shutdown: async () => {
    await system.shutdown();
    return { down: true };
  },
};
createInterface({ input: process.stdin }).on('line', (line) => {
  const { n, do: name, ...args } = JSON.parse(line);
  commands[name](args).then(
    (answer) => tell({ n, ...answer }),
    (error) => tell({ n, error: { name: error.name, message: error.message } }),
  );
});
tell({ ready: process.pid });
