import pg from 'pg';
import { PgBoss } from 'pg-boss';

const POOL = 20;
const BATCH = 100;
const BULK = 1_000;
const QUEUE = 'bench';
const SCHEMA = 'pgboss';

export const settings =
  `pool ${POOL}, batchSize ${BATCH}, localConcurrency 2, burstWhenBatchFull, polling each 0.5 s (its minimum); W3 one at a time with useListenNotify, ` +
  'which costs submits but not latency; it has no API to wait for a result: its row is polled. Queued tasks of W5 are inserted 1,000 at a time. No supervision, no schedules.';

const noop = async () => undefined;

async function start(options = {}) {
  const boss = new PgBoss({
    connectionString: process.env.BENCH_DATABASE_URL,
    schema: SCHEMA,
    max: POOL,
    supervise: false,
    schedule: false,
    ...options,
  });
  boss.on('error', (error) => console.error(error));
  await boss.start();
  if ((await boss.getQueue(QUEUE)) === null) await boss.createQueue(QUEUE, { notify: options.useListenNotify === true });
  const database = new pg.Pool({ connectionString: process.env.BENCH_DATABASE_URL, max: 2 });
  const count = async (state) => {
    const { rows } = await database.query(`SELECT count(*)::int AS n FROM ${SCHEMA}.job WHERE name = $1 AND state = $2`, [QUEUE, state]);
    return rows[0].n;
  };
  const close = async () => {
    await boss.stop({ graceful: false });
    await database.query(`DROP SCHEMA IF EXISTS ${SCHEMA} CASCADE`);
    await database.end();
  };
  return { boss, database, count, close };
}

export async function open({ runs, isLatency = false }) {
  const { boss, database, count, close } = await start({ useListenNotify: isLatency });
  let ran = 0;
  if (runs) {
    await boss.work(
      QUEUE,
      { batchSize: BATCH, localConcurrency: 2, burstWhenBatchFull: true, pollingIntervalSeconds: 0.5 },
      async (jobs) => {
        await Promise.all(jobs.map(noop));
        ran += jobs.length;
      },
    );
  }
  let submitted = 0;
  return {
    submit: (input) => (submitted++, boss.send(QUEUE, input)),
    result: async (id) => {
      for (;;) {
        const { rows } = await database.query(`SELECT 1 FROM ${SCHEMA}.job WHERE name = $1 AND id = $2 AND state = 'completed'`, [
          QUEUE,
          id,
        ]);
        if (rows.length > 0) return;
      }
    },
    // The database is asked only when all have run: counting rows would slow it.
    completed: async () => (ran < submitted ? 0 : count('completed')),
    close,
  };
}

export async function openHeld() {
  const { boss, count, close } = await start();
  return {
    submit: (input) => boss.send(QUEUE, input),
    submitMany: async (tasks, input) => {
      for (let made = 0; made < tasks; made += BULK)
        await boss.insert(
          QUEUE,
          Array.from({ length: BULK }, () => ({ data: input })),
        );
    },
    settled: async () => undefined,
    queued: () => count('created'),
    close,
  };
}
