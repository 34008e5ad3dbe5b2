import { Queue, QueueEvents, Worker } from 'bullmq';
import { CONCURRENCY } from '../core/settings.mjs';

export const settings =
  'One Queue, one Worker with concurrency 50 in the same process, removeOnComplete: true (W3 and W4: the last 1,000 are kept, as waitUntilFinished needs them). ' +
  'Redis is a child of the run: "bullmq-aof" with appendonly yes and appendfsync always, as durable as the others; "bullmq" with neither AOF nor snapshots.';

const QUEUE = 'bench';
const connection = () => ({ host: '127.0.0.1', port: Number(process.env.BENCH_REDIS_PORT), maxRetriesPerRequest: null });
const KEEP = { removeOnComplete: { count: 1000 } };
const noop = async () => undefined;

async function newQueue() {
  const queue = new Queue(QUEUE, { connection: connection() });
  // Each job that is waited for listens to it.
  queue.setMaxListeners(0);
  await queue.obliterate({ force: true });
  return queue;
}

async function newWorker(processor) {
  const worker = new Worker(QUEUE, processor, { connection: connection(), concurrency: CONCURRENCY });
  worker.on('error', (error) => console.error(error));
  await worker.waitUntilReady();
  return worker;
}

async function newQueueEvents() {
  const events = new QueueEvents(QUEUE, { connection: connection() });
  events.setMaxListeners(0);
  await events.waitUntilReady();
  return events;
}

export async function open({ runs, isLatency = false }) {
  const queue = await newQueue();
  const worker = runs ? await newWorker(noop) : undefined;
  const events = isLatency ? await newQueueEvents() : undefined;
  let completed = 0;
  // Emitted after the script that records it.
  worker?.on('completed', () => completed++);
  const options = isLatency ? KEEP : { removeOnComplete: true };
  return {
    submit: (input) => queue.add('noop', input, options),
    result: (job) => job.waitUntilFinished(events),
    completed: () => completed,
    close: async () => {
      await worker?.close();
      await events?.close();
      await queue.obliterate({ force: true });
      await queue.close();
    },
  };
}

export async function openHeld() {
  const queue = await newQueue();
  return {
    submit: (input) => queue.add('noop', input),
    settled: async () => undefined,
    queued: () => queue.getWaitingCount(),
    close: async () => {
      await queue.obliterate({ force: true });
      await queue.close();
    },
  };
}

/** updateProgress, awaited one by one, and all at once. */
export async function events({ events: many, awaited, warmUp }) {
  await perSecond(warmUp, false);
  return { awaitedPerSecond: await perSecond(awaited, true), perSecond: await perSecond(many, false) };
}

async function perSecond(count, isAwaited) {
  const queue = await newQueue();
  const received = await newQueueEvents();
  let events = 0;
  const all = new Promise((resolve) => received.on('progress', () => ++events === count && resolve()));
  const worker = await newWorker(async (job) => {
    const writes = [];
    for (let number = 1; number <= count; number++) {
      const written = job.updateProgress({ done: number, of: count });
      if (isAwaited) await written;
      else writes.push(written);
    }
    await Promise.all(writes);
  });
  const startedAt = performance.now();
  const job = await queue.add('report', null, KEEP);
  await job.waitUntilFinished(received);
  await all;
  const elapsedMs = performance.now() - startedAt;
  await worker.close();
  await received.close();
  await queue.obliterate({ force: true });
  await queue.close();
  return (count / elapsedMs) * 1000;
}
