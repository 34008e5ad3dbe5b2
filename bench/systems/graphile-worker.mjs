import { EventEmitter } from 'node:events';
import { Logger, makeWorkerUtils, run } from 'graphile-worker';
import pg from 'pg';
import { CONCURRENCY } from '../core/settings.mjs';

const POOL = CONCURRENCY + 1;
const LOCAL_QUEUE = 500;
const BULK = 1_000;
const SCHEMA = 'graphile_worker';

export const settings =
  `concurrentJobs ${CONCURRENCY}, pool ${POOL}, with what its performance page advises: localQueue.size ${LOCAL_QUEUE}, completeJobBatchDelay 0, failJobBatchDelay 0. ` +
  'Results by its job:complete event in the same process. Queued tasks of W5 are added 1,000 at a time.';

const silent = new Logger(() => (level, message) => {
  if (level === 'error') console.error(message);
});

async function start() {
  const pgPool = new pg.Pool({ connectionString: process.env.BENCH_DATABASE_URL, max: POOL });
  pgPool.on('error', (error) => console.error(error));
  pgPool.on('connect', (client) => client.on('error', (error) => console.error(error)));
  const utils = await makeWorkerUtils({ pgPool, logger: silent });
  await utils.migrate();
  const queued = async () => (await pgPool.query(`SELECT count(*)::int AS n FROM ${SCHEMA}._private_jobs`)).rows[0].n;
  const close = async () => {
    await utils.release();
    await pgPool.query(`DROP SCHEMA IF EXISTS ${SCHEMA} CASCADE`);
    await pgPool.end();
  };
  return { pgPool, utils, queued, close };
}

export async function open({ runs }) {
  const { pgPool, utils, queued, close } = await start();
  const events = new EventEmitter();
  const waiting = new Map();
  const early = new Set();
  let completed = 0;
  events.on('job:complete', ({ job }) => {
    completed++;
    const resolve = waiting.get(job.id);
    waiting.delete(job.id);
    if (resolve === undefined) early.add(job.id);
    else resolve();
  });
  const preset = {
    worker: { concurrentJobs: CONCURRENCY, localQueue: { size: LOCAL_QUEUE }, completeJobBatchDelay: 0, failJobBatchDelay: 0 },
  };
  const runner = runs
    ? await run({ pgPool, events, logger: silent, noHandleSignals: true, taskList: { noop: async () => undefined }, preset })
    : undefined;
  let submitted = 0;
  return {
    submit: (input) => (submitted++, utils.addJob('noop', input)),
    result: (job) =>
      new Promise((resolve) => {
        if (early.delete(job.id)) resolve();
        else waiting.set(job.id, resolve);
      }),
    // A completed job is deleted.
    completed: async () => (completed < submitted || (await queued()) > 0 ? 0 : completed),
    close: async () => {
      await runner?.stop();
      await close();
    },
  };
}

export async function openHeld() {
  const { utils, queued, close } = await start();
  return {
    submit: (input) => utils.addJob('noop', input),
    submitMany: async (tasks, input) => {
      for (let made = 0; made < tasks; made += BULK)
        await utils.addJobs(Array.from({ length: BULK }, () => ({ identifier: 'noop', payload: input })));
    },
    settled: async () => undefined,
    queued,
    close,
  };
}
