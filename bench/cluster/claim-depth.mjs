/**
 * What a claim of 50 costs beside what waits and what is finished: two databases on one server, claims in turn on each of them, so that
 * whatever else the machine does meets both.
 *
 *   npm run build && node bench/cluster/claim-depth.mjs --url postgres://… [--small 1000] [--large 1000000] [--claims 200]
 *
 * The role must be allowed to create databases; those of the run are dropped at its end.
 */
import { parseArgs } from 'node:util';
import pg from 'pg';
import { ClusterDatabase } from '../../dist/engines/cluster/storage/cluster-database.js';
import { migrateCluster } from '../../dist/engines/cluster/storage/cluster-schema.js';
import { SystemClock } from '../../dist/primitives/system-clock.js';
import { databaseTarget } from '../../dist/repository/database-target.js';

const { values } = parseArgs({
  options: {
    url: { type: 'string' },
    small: { type: 'string', default: '1000' },
    large: { type: 'string', default: '1000000' },
    claims: { type: 'string', default: '200' },
  },
});
if (values.url === undefined) throw new Error('--url postgres://… is missing');
const USERS = 1_000;
const BATCH = 50;
const ports = { clock: new SystemClock(), ensureFile: async () => undefined, sharesProcessWithLog: false };

async function onServer(url, sql) {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    return await client.query(sql);
  } finally {
    await client.end();
  }
}

/** `waiting` tasks of 1,000 users, as many that ended, and one task running for every claim to come. */
async function fill(url, waiting) {
  const columns = `id, home, name, scoped_key, user_id, type, status, priority, attempt, max_attempts, failures, fence, life, recoveries, timeout_ms,
    last_seq, created_at, run_at, last_event_at, owner, input, completed_at`;
  const row = (
    id,
    status,
    completed,
  ) => `${id}, 'cluster', 'work', ${id}, 'u' || n % ${USERS}, 'user', '${status}', 0, 1, 3, 0, 0, 1, 0, 60000,
    1, n, n, n, 'fill', '{"n":1}', ${completed}`;
  const id = (prefix) => `'${prefix}' || lpad(n::text, 12, '0')`;
  await onServer(
    url,
    `INSERT INTO taskflow_tasks (${columns}) SELECT ${row(id('w'), 'created', 'NULL::bigint')} FROM generate_series(1, ${waiting}) AS n;
     INSERT INTO taskflow_tasks (${columns}) SELECT ${row(id('e'), 'completed', 'n')} FROM generate_series(1, ${waiting}) AS n;
     INSERT INTO taskflow_queue (task_id, kind, name, user_key, priority, ord, fence, last_seq, attempt, last_event_at)
       SELECT ${id('w')}, 0, 'work', 'uu' || n % ${USERS}, 0, n, 0, 1, 1, 1 FROM generate_series(1, ${waiting}) AS n`,
  );
  await onServer(url, 'VACUUM ANALYZE');
}

async function prepare(name, waiting) {
  await onServer(values.url, `DROP DATABASE IF EXISTS ${name}`);
  await onServer(values.url, `CREATE DATABASE ${name} ENCODING 'UTF8' TEMPLATE template0`);
  const url = new URL(values.url);
  url.pathname = `/${name}`;
  const target = databaseTarget({ type: 'postgres', url: url.href });
  await migrateCluster(target, ports);
  await fill(url.href, waiting);
  const node = new ClusterDatabase(target, ports);
  await node.open();
  return { name, waiting, node, url: url.href, claimMs: [] };
}

const claim = {
  me: 'bench',
  handlers: [{ name: 'work', limit: null }],
  want: BATCH,
  limits: { all: 1_000, perUser: 10, recovering: 5, suspect: 1 },
  lockMs: 5_000,
};

/** Takes 50, and lets them end: what is left over of one claim must not weigh on the next one. */
async function round({ node, claimMs }) {
  const from = performance.now();
  const { runs } = await node.claim(claim);
  claimMs.push(performance.now() - from);
  if (runs.length !== BATCH) throw new Error(`claimed ${runs.length}`);
  const at = Date.now();
  const moves = runs.map(({ task }) => ({
    seen: { place: 'runs', fence: task.fence, lastSeq: task.lastSeq },
    next: { place: 'ended' },
    task: { ...task, status: 'completed', completedAt: at, lastSeq: task.lastSeq + 1, lastEventAt: at, result: '1' },
    entries: [{ seq: task.lastSeq + 1, n: 1, type: 'complete', at, attempt: 1, fence: task.fence, data: '{"result":1}' }],
  }));
  await node.apply({ me: 'bench', moves, lockMs: 5_000 });
}

const median = (numbers) => numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)];

const sizes = [Number(values.small), Number(values.large)];
const sides = [];
try {
  for (const waiting of sizes) sides.push(await prepare(`taskflow_bench_${waiting}`, waiting));
  // The small one is refilled, so that it stays as small as it is called.
  for (let n = 0; n < Number(values.claims); n++) {
    for (const side of n % 2 === 0 ? sides : sides.toReversed()) await round(side);
    if ((n + 1) % Math.max(1, Math.floor(sizes[0] / BATCH / 4)) === 0)
      await onServer(sides[0].url, 'TRUNCATE taskflow_tasks, taskflow_events, taskflow_queue, taskflow_runs').then(() =>
        fill(sides[0].url, sizes[0]),
      );
  }
  for (const { waiting, claimMs } of sides)
    console.log(`${waiting} waiting beside ${waiting} finished: claim of ${BATCH}, median ${median(claimMs).toFixed(2)} ms`);
  console.log(`ratio ${(median(sides[1].claimMs) / median(sides[0].claimMs)).toFixed(2)}`);
} finally {
  for (const { node, name } of sides) {
    await node.close();
    await onServer(values.url, `DROP DATABASE ${name} WITH (FORCE)`);
  }
}
