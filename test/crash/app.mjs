/**
 * The app that is killed: a Nest application context with the built package, under load from the moment it has started. What it did it
 * writes to the ledger, a file that is not part of the app's storage: `writeSync`, so that a line is in the kernel before the next step.
 *
 *   node app.mjs <folder> <life> <seed>      life: 1 for the first process in this folder, 2 for the next …
 *
 * It speaks with the parent in messages: says `ready`, and obeys `load`, `check` and `stop`.
 */
import 'reflect-metadata';
import { openSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { ConflictError, NonRetryableError, TaskHandler, TaskflowModule, TaskSystem } from 'nestjs-taskflow';
import { randomOf } from './random.mjs';

const [folder, lifeText, seed] = process.argv.slice(2);
const life = Number(lifeText);
const random = randomOf(`${seed}/load/${life}`);
const ledger = openSync(join(folder, 'ledger.jsonl'), 'a');
const note = (entry) => writeSync(ledger, `${JSON.stringify({ ...entry, life })}\n`);

/** Notes the start and the end of every call of a handler. */
async function run(via, input, ctx, work) {
  const { taskId: id, fence, attempt } = ctx;
  note({ k: 'start', id, fence, attempt, via });
  try {
    const result = await work();
    note({ k: 'returned', id, fence });
    return result;
  } catch (error) {
    note({ k: 'threw', id, fence, message: error.message });
    throw error;
  }
}

class Quick {
  handle(input, ctx) {
    return run('handle', input, ctx, async () => {
      await sleep(input.ms, undefined, { signal: ctx.signal });
      return { at: input.n };
    });
  }
}
class Flaky {
  handle(input, ctx) {
    return run('handle', input, ctx, async () => {
      await ctx.emit('attempt', ctx.attempt);
      await sleep(input.ms, undefined, { signal: ctx.signal });
      if (input.fatal) throw new NonRetryableError('never works');
      if (ctx.attempt <= input.failures) throw new Error(`attempt ${ctx.attempt} fails`);
      return { attempts: ctx.attempt };
    });
  }
}
class Steps {
  async *handle(input, ctx) {
    note({ k: 'start', id: ctx.taskId, fence: ctx.fence, attempt: ctx.attempt, via: 'handle' });
    for (let done = this.doneBefore(ctx); done < input.steps; done++) {
      await sleep(input.ms, undefined, { signal: ctx.signal });
      yield { type: 'progress', payload: { done: done + 1 } };
    }
    note({ k: 'returned', id: ctx.taskId, fence: ctx.fence });
    return { steps: input.steps };
  }
  recover(task, ctx) {
    return run('recover', task.input, ctx, async () => {
      for (let done = this.doneBefore(ctx); done < task.input.steps; done++) {
        await sleep(task.input.ms, undefined, { signal: ctx.signal });
        await ctx.progress({ done: done + 1 });
      }
      return { recovered: true, result: { steps: task.input.steps } };
    });
  }
  doneBefore({ previousEvents }) {
    return previousEvents.findLast(({ type }) => type === 'progress')?.payload.done ?? 0;
  }
}
TaskHandler('quick')(Quick);
TaskHandler('flaky', { retry: { maxAttempts: 3, initialDelayMs: 30, maxDelayMs: 60 } })(Flaky);
TaskHandler('steps')(Steps);

class AppModule {}
Module({
  imports: [
    TaskflowModule.forRoot({
      // Small segments: a round passes many of them, so that kills meet rotations and deletions.
      eventLog: { eventLogPath: join(folder, 'events.log'), maxSizeBytesPerFile: 32_768, retentionCount: 1 },
      repository: { type: 'sqlite', database: join(folder, 'tasks.db') },
      flush: { flushIntervalMs: 400, maxBatchSize: 200 },
      guard: {
        backpressure: { maxTasksPerWindow: 1_000_000, maxTasksPerUserWindow: 1_000_000, maxQueuedSize: 100_000 },
        slots: { maxExecutionGlobal: 20, maxExecutionPerUser: 8 },
      },
      stream: { maxSubscribers: 100_000, maxSubscribersPerUser: 100_000 },
      executor: { tickIntervalMs: 20, heartbeatIntervalMs: 200 },
      recovery: { staleThresholdMs: 1_000, maxConcurrentRecoveries: 10, maxRecoveriesPerTask: 1_000 },
    }),
  ],
  providers: [Quick, Flaky, Steps],
})(AppModule);

const USERS = [null, 'ann', 'ben', 'cid'];
let submitted = 0;

/** The next submit: five kinds, a third with a key, some delayed. */
function nextSubmit() {
  const n = ++submitted;
  const userId = random.pick(USERS);
  const params = { userId, tags: [`life-${life}`] };
  if (random.chance(0.33)) params.idempotencyKey = `key-${life}-${n}`;
  if (random.chance(0.15)) params.delayMs = 50 + random.below(400);
  const kind = random.below(10);
  if (kind < 5) return ['quick', { ...params, input: { n, ms: random.below(60) } }];
  if (kind < 7)
    return ['flaky', { ...params, input: { n, ms: random.below(20), failures: 1 + random.below(3), fatal: random.chance(0.2) } }];
  return ['steps', { ...params, input: { n, ms: 5 + random.below(20), steps: 3 + random.below(25) } }];
}

async function submitOne(tasks) {
  const [name, params] = nextSubmit();
  const { idempotencyKey: key, userId, input } = params;
  if (key !== undefined) note({ k: 'try', key, userId, name, input });
  // Some callers are impatient and send the same request twice.
  const twice = key !== undefined && random.chance(0.3);
  const [task, same] = await Promise.all([tasks.submit(name, params), twice ? tasks.submit(name, params) : undefined]);
  note({ k: 'ack', id: task.id, key, userId, name, input });
  if (same !== undefined && same.id !== task.id) note({ k: 'two-for-one-key', id: task.id, other: same.id, key });
  void watch(tasks, task.id);
  if (random.chance(0.08)) await cancelOne(tasks, task.id);
}

/** Once the request is durable the task ends cancelled, whatever its handler returns, also after a crash. */
async function cancelOne(tasks, id) {
  await sleep(random.below(60));
  try {
    await tasks.cancel({ taskId: id });
    note({ k: 'cancel', id });
  } catch (error) {
    if (!ConflictError.is(error)) throw error; // it had ended before
  }
}

/** What a subscriber saw is durable: a later process may not take it back. */
async function watch(tasks, id) {
  try {
    for await (const { seq, type, attempt, payload } of tasks.subscribe({ taskId: id })) {
      if (type === 'retry') note({ k: 'retried', id, seq, attempt, reason: payload.reason });
      if (type === 'complete' || type === 'error' || type === 'cancelled') note({ k: 'ended', id, seq, type });
    }
  } catch (error) {
    note({ k: 'watch-failed', id, message: String(error) });
  }
}

/** The process that writes to the database dies, too. */
async function killWorker(tasks) {
  await sleep(random.below(600));
  const { workerPid } = tasks.getStats().flush;
  if (workerPid === null) return;
  process.kill(workerPid, 'SIGKILL');
  note({ k: 'worker-killed' });
}

let isLoading = true;
async function load(tasks) {
  if (random.chance(0.4)) void killWorker(tasks).catch(() => {}); // it may just have gone by itself
  while (isLoading) {
    await submitOne(tasks).catch((error) => note({ k: 'refused', message: String(error) }));
    await sleep(random.below(12));
  }
}

/** The whole stream of one task, as a list that is small enough to send. It ends when the task has ended. */
async function streamOf(tasks, id) {
  const seen = [];
  try {
    for await (const { seq, type, attempt, payload } of tasks.subscribe({ taskId: id })) {
      // A sign of life is shown live and is no part of the stream.
      if (type !== 'heartbeat') seen.push([seq, type, attempt, type === 'progress' ? payload.done : null]);
    }
  } catch (error) {
    seen.push([null, String(error)]);
  }
  return seen;
}

/** What the app says of tasks: state, stream to the end, and what a second submit with their keys gives. */
async function check(tasks, { ids, keys, tags }) {
  const before = Object.fromEntries(
    await Promise.all(ids.map(async (id) => [id, (await tasks.getStatus({ taskId: id }))?.status ?? null])),
  );
  const again = await Promise.all(
    keys.map(({ key, userId, name, input, tag }) =>
      tasks.submit(name, { idempotencyKey: key, userId, input, tags: [tag] }).then(
        ({ id }) => ({ key, id }),
        (error) => ({ key, error: ConflictError.is(error) ? 'conflict' : String(error) }),
      ),
    ),
  );
  const listed = {};
  for (const tag of tags) listed[tag] = await listOf(tasks, tag);
  // Tasks that are durable though nobody was told so have to end like the others.
  const all = [...new Set([...ids, ...Object.values(listed).flat(), ...again.flatMap(({ id }) => id ?? [])])];
  const streams = Object.fromEntries(await Promise.all(all.map(async (id) => [id, await streamOf(tasks, id)])));
  const after = Object.fromEntries(
    await Promise.all(
      all.map(async (id) => [
        id,
        await tasks.getStatus({ taskId: id }).then((task) => task && { status: task.status, lastSeq: task.lastSeq }),
      ]),
    ),
  );
  return { before, again, listed, streams, after };
}

async function listOf(tasks, tag) {
  const ids = [];
  for (let cursor; cursor !== null;) {
    const page = await tasks.list({ tag, limit: 100, cursor });
    ids.push(...page.items.map(({ id }) => id));
    cursor = page.nextCursor;
  }
  return ids;
}

const app = await NestFactory.createApplicationContext(AppModule, { logger: ['error', 'warn'], abortOnError: false });
const tasks = app.get(TaskSystem);
async function obey(message) {
  if (message.do === 'load') void load(tasks);
  if (message.do === 'check') process.send({ answer: await check(tasks, message) });
  if (message.do !== 'stop') return;
  isLoading = false;
  await app.close();
  process.send({ answer: 'stopped' }, () => process.disconnect());
}

process.on('message', (message) => void obey(message).catch((error) => process.send({ failed: String(error.stack) })));
process.send({ ready: true });
