import { DBOS } from '@dbos-inc/dbos-sdk';
import pg from 'pg';

const POOL = 20;
const SCHEMA = 'dbos';

export const settings =
  `Workflows started directly, so without a limit of concurrency (a queue is slower: it is polled); pool ${POOL}, tracing off; results by handle.getResult(); events by writeStream and readStream. ` +
  'W1 and W5: workflows of a queue that nothing listens to.';

const noop = DBOS.registerWorkflow(async (_input) => undefined, { name: 'noop' });
const report = DBOS.registerWorkflow(
  async (count) => {
    for (let number = 1; number <= count; number++) await DBOS.writeStream('progress', { done: number, of: count });
    await DBOS.closeStream('progress');
  },
  { name: 'report' },
);

async function start(options = {}) {
  DBOS.setConfig({
    name: 'bench',
    systemDatabaseUrl: process.env.BENCH_DATABASE_URL,
    systemDatabasePoolSize: POOL,
    systemDatabaseSchemaName: SCHEMA,
    enableOTLP: false,
    logLevel: 'error',
    ...options,
  });
  await DBOS.launch();
}

async function stop() {
  await DBOS.shutdown();
  const database = new pg.Client({ connectionString: process.env.BENCH_DATABASE_URL });
  await database.connect();
  await database.query(`DROP SCHEMA IF EXISTS ${SCHEMA} CASCADE`);
  await database.end();
}

export async function open({ runs }) {
  if (!runs) return openHeld();
  await start();
  let completed = 0;
  return {
    submit: async (input) => {
      const handle = await DBOS.startWorkflow(noop)(input);
      // Resolves once the result is in the database.
      const done = handle.getResult().then(() => void completed++);
      return { done };
    },
    result: ({ done }) => done,
    completed: () => completed,
    close: stop,
  };
}

export async function openHeld() {
  await start({ listenQueues: ['elsewhere'] });
  await DBOS.registerQueue('held', { workerConcurrency: 1 });
  let queued = 0;
  return {
    submit: async (input) => {
      await DBOS.startWorkflow(noop, { queueName: 'held' })(input);
      queued++;
    },
    settled: async () => undefined,
    queued: () => queued,
    close: stop,
  };
}

export async function events({ awaited, warmUp }) {
  await start();
  try {
    await perSecond(warmUp);
    return { awaitedPerSecond: await perSecond(awaited) };
  } finally {
    await stop();
  }
}

async function perSecond(count) {
  const startedAt = performance.now();
  const handle = await DBOS.startWorkflow(report)(count);
  let received = 0;
  for await (const _ of DBOS.readStream(handle.workflowID, 'progress')) received++;
  const elapsedMs = performance.now() - startedAt;
  await handle.getResult();
  if (received !== count) throw new Error(`${received} of ${count} events came.`);
  return (count / elapsedMs) * 1000;
}
