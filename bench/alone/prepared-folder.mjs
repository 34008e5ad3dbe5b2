import { join } from 'node:path';
import { columnsOf, EVENTS, openDatabase, TASKS } from '../core/sqlite.mjs';
import { inFlight } from '../core/load.mjs';
import { CALLERS, INPUT } from '../core/settings.mjs';
import { flushed, openSystem } from '../systems/taskflow.mjs';

const TEMPLATES = 1_000;
/** Longer than the templates took. */
const STEP_MS = 60_000;
const COPIES_PER_TRANSACTION = 50;
/** Of a time-ordered id: the milliseconds, then what is random. */
const ID = `(SELECT substr(x, 1, 8) || '-' || substr(x, 9, 4) FROM (SELECT printf('%012x', t."created_at" - c.shift) AS x)) || substr(t."id", 14)`;
const TIMES = new Set(['created_at', 'run_at', 'started_at', 'completed_at', 'last_heartbeat_at', 'last_event_at']);

/**
 * A folder with that many tasks, quickly: a real system makes 1,000 of them and is shut down; then their rows are copied inside
 * the database, each copy with an id of its own, earlier in time, in the order of time. So rows, indexes and pages are those of
 * a system that did all of them; only the log segments, which retention would have deleted, were never there.
 */
export async function run({ folder, kind, tasks }) {
  const isQueued = kind === 'queued';
  const { system, close } = await openSystem(
    { noop: async () => undefined },
    isQueued ? { folder, executor: { enabled: false } } : { folder },
  );
  const made = Math.min(TEMPLATES, tasks);
  await inFlight(made, CALLERS, async () => {
    const task = await system.submit('noop', { input: INPUT });
    if (!isQueued) await system.result(task);
  });
  await flushed(system);
  await close();
  const database = openDatabase(join(folder, 'tasks.db'));
  try {
    await multiply(database, Math.round(tasks / made) - 1);
    const [{ n }] = await database.all(`SELECT count(*) AS n FROM "${TASKS}"`);
    if (n !== tasks) throw new Error(`${n} tasks were prepared, not ${tasks}.`);
    return { tasks: n };
  } finally {
    await database.close();
  }
}

async function multiply(database, copies) {
  await database.run('PRAGMA synchronous = OFF');
  await database.run('PRAGMA cache_size = -400000');
  for (const table of [TASKS, EVENTS]) await database.run(`CREATE TEMP TABLE "t_${table}" AS SELECT * FROM "${table}"`);
  const taskColumns = await columnsOf(database, TASKS);
  const eventColumns = await columnsOf(database, EVENTS);
  const ofTask = taskColumns.map((column) =>
    column === 'id' || column === 'scoped_key' ? ID : TIMES.has(column) ? `t."${column}" - c.shift` : `t."${column}"`,
  );
  const ofEvent = eventColumns.map((column) => (column === 'task_id' ? ID : column === 'at' ? 'e."at" - c.shift' : `e."${column}"`));
  const list = (columns) => columns.map((column) => `"${column}"`).join(', ');
  const shifts = 'WITH c(shift) AS (SELECT value FROM json_each(?))';
  for (let left = copies; left > 0; left -= COPIES_PER_TRANSACTION) {
    const chunk = JSON.stringify(Array.from({ length: Math.min(COPIES_PER_TRANSACTION, left) }, (_, i) => (left - i) * STEP_MS));
    await database.run('BEGIN');
    await database.run(
      `INSERT INTO "${TASKS}" (${list(taskColumns)}) ${shifts} SELECT ${ofTask.join(', ')} FROM c CROSS JOIN "t_${TASKS}" AS t ORDER BY c.shift DESC, t."created_at"`,
      chunk,
    );
    await database.run(
      `INSERT INTO "${EVENTS}" (${list(eventColumns)}) ${shifts} SELECT ${ofEvent.join(', ')} FROM c CROSS JOIN "t_${TASKS}" AS t JOIN "t_${EVENTS}" AS e ON e."task_id" = t."id" ORDER BY c.shift DESC, t."created_at", e."seq"`,
      chunk,
    );
    await database.run('COMMIT');
  }
  await database.run('PRAGMA wal_checkpoint(TRUNCATE)');
}
