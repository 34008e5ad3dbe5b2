// The app that dies at failpoints: under load until then. What it did it notes in a file that is not part of its storage; a line is in
// the kernel before the next step. Obeys `load`, `stop` (in the middle of the load), `stats`, `finish` and `bye`.
import { openSync, writeSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { Logger } from '@nestjs/common';
import { ConflictError, createTaskSystem, NonRetryableError, RepositoryError, TaskSystemError } from 'nestjs-taskflow';

Logger.overrideLogger(false);
const { options, ledger: path, life } = JSON.parse(process.argv[2]);
const ledger = openSync(path, 'a');
const note = (line) => writeSync(ledger, `${JSON.stringify({ ...line, life })}\n`);
const quiet = {
  log() {},
  warn: (text) => note({ k: 'warned', text }),
  error: (text) => writeSync(2, `${text}\n`),
  debug() {},
  verbose() {},
};
const tasks = await createTaskSystem({ ...options, hooks: { logger: quiet } });

const define = (name, handle, more = {}) =>
  tasks.defineTask(name, {
    ...more,
    handler: (input, ctx) => {
      note({ k: 'start', id: ctx.taskId, fence: ctx.fence, attempt: ctx.attempt });
      return handle(input, ctx);
    },
  });
define('quick', async ({ n }, ctx) => {
  await ctx.progress({ n });
  return { n };
});
define('slow', async ({ n }, ctx) => {
  for (let step = 1; step <= 4; step++) {
    await ctx.progress({ step });
    await sleep(40, undefined, { signal: ctx.signal });
  }
  return { n };
});
// Runs until the process is killed; the next run of it is short.
define('long', async (_, ctx) => {
  if (ctx.fence === 1) await sleep(2_000, undefined, { signal: ctx.signal });
});
define('fails', async () => {
  throw new NonRetryableError('never works');
});
define(
  'flaky',
  async ({ n }, ctx) => {
    await ctx.emit('attempt', ctx.attempt);
    if (ctx.attempt === 1) throw new Error('the first attempt fails');
    return { n };
  },
  { retry: { maxAttempts: 3, initialDelayMs: 10, maxDelayMs: 10 } },
);

const NAMES = ['quick', 'quick', 'slow', 'flaky', 'fails', 'quick'];
let submitted = 0;

async function submitOne(name = NAMES[submitted % NAMES.length]) {
  const n = ++submitted;
  const params = { input: { n } };
  if (n % 3 === 0) Object.assign(params, { userId: 'ann', idempotencyKey: `key-${life}-${n}` });
  if (n % 5 === 0) params.delayMs = 30;
  if (params.idempotencyKey !== undefined) note({ k: 'try', name, params });
  const { id } = await tasks.submit(name, params);
  note({ k: 'ack', id, key: params.idempotencyKey });
  void watch(id);
  if (n % 11 === 0) await cancelOne(id);
}

async function cancelOne(id) {
  try {
    await tasks.cancel({ taskId: id });
    note({ k: 'cancel', id });
  } catch (error) {
    if (!ConflictError.is(error)) throw error; // it had ended before
  }
}

/** What a subscriber saw is durable: nobody may take it back. */
async function watch(id) {
  try {
    for await (const { seq, type } of tasks.subscribe({ taskId: id })) if (seq !== undefined) note({ k: 'saw', id, seq, type });
  } catch (error) {
    note({ k: 'watch-failed', id, message: String(error) });
  }
}

let isLoading = true;
let unreadable = 0;
/** @param pauseMs between two submits. @param databaseGoes whatever needs the database may be refused. */
async function load({ pauseMs = 6, databaseGoes = false }) {
  await submitOne('long');
  while (isLoading) {
    await submitOne().catch((error) => {
      if (databaseGoes && RepositoryError.is(error)) unreadable++;
      // While it goes down it may say no; anything else is a defect.
      else if (isLoading || !TaskSystemError.is(error) || error.getStatus() !== 503) note({ k: 'refused', message: String(error) });
    });
    await sleep(pauseMs);
  }
}

async function until(holds) {
  while (!holds()) await sleep(5);
}

/** Everything ends and gets into the database; then what the app says of the tasks that it was asked about. */
async function finish(ids, keys) {
  await until(isDone);
  const said = {};
  for (const id of ids) {
    const task = await tasks.getStatus({ taskId: id });
    const events = [];
    if (task !== null)
      for await (const { seq, type } of tasks.subscribe({ taskId: id })) if (seq !== undefined) events.push(`${seq} ${type}`);
    said[id] = task === null ? null : { status: task.status, lastSeq: task.lastSeq, events };
  }
  const again = [];
  for (const { name, params } of keys) again.push({ key: params.idempotencyKey, id: (await tasks.submit(name, params)).id });
  await until(isDone);
  return { said, again };
}

function isDone() {
  const { tasks: counts, flush, eventLog, status } = tasks.getStats();
  const left = counts.queued + counts.running + counts.delayed;
  return status === 'running' && left === 0 && flush.appliedSeq === eventLog.durableSeq;
}

const commands = {
  load: async (how) => void Promise.all([load(how), load(how)]).catch((error) => note({ k: 'refused', message: String(error) })),
  stats: async () => ({ ...tasks.getStats(), unreadable }),
  /** No more is submitted. */
  rest: async () => void (isLoading = false),
  stop: async () => {
    isLoading = false;
    await tasks.shutdown({ timeoutMs: 60 });
  },
  finish: async ({ ids, keys }) => {
    isLoading = false;
    const answer = await finish(ids, keys);
    await tasks.shutdown();
    return answer;
  },
  bye: async () => undefined,
};
process.on('message', ({ command, ...args }) =>
  commands[command](args).then(
    (answer) => process.send({ done: command, answer }, () => (command === 'stop' || command === 'bye') && process.disconnect()),
    (error) => process.send({ done: command, failed: String(error.stack) }),
  ),
);
await tasks.initialize();
process.send({ ready: true });
