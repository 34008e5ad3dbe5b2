import { join } from 'node:path';
import { v7 } from 'uuid';
import { inFlight } from '../core/load.mjs';
import { CALLERS, INPUT, newFolder, removeFolder } from '../core/settings.mjs';
import { columnsOf, EVENTS, openDatabase, TASKS } from '../core/sqlite.mjs';
import { flushed, openSystem } from '../systems/taskflow.mjs';

const TEMPLATES = 500;
/** A batch of ours is 1,000 entries at most by default (flush.maxBatchSize), and a no-op task has three. */
const TASKS_PER_BATCH = 333;
const TASKS_PER_STATEMENT = 111;

/**
 * What a bare loop reaches that does nothing but insert the rows of finished tasks, one after the other, into a database with
 * the schema, the settings (WAL, synchronous FULL) and the batches of ours. The rows are copies of real ones under fresh ids.
 */
export async function run({ durationMs }) {
  const folder = await newFolder();
  try {
    const source = await makeRows(folder);
    const database = openDatabase(join(folder, 'bare.db'));
    await database.run('PRAGMA journal_mode = WAL');
    await database.run('PRAGMA synchronous = FULL');
    for (const sql of source.schema) await database.run(sql);
    const perSecond = await insertFor(database, source, durationMs);
    await database.close();
    return perSecond;
  } finally {
    await removeFolder(folder);
  }
}

async function makeRows(folder) {
  const { system, close } = await openSystem({ noop: async () => undefined }, { folder });
  await inFlight(TEMPLATES, CALLERS, async () => system.result(await system.submit('noop', { input: INPUT })));
  await flushed(system);
  await close();
  const database = openDatabase(join(folder, 'tasks.db'));
  const schema = await database.all(
    `SELECT sql FROM sqlite_master WHERE tbl_name IN ('${TASKS}', '${EVENTS}') AND sql IS NOT NULL ORDER BY rowid`,
  );
  const source = {
    schema: schema.map(({ sql }) => sql),
    taskColumns: await columnsOf(database, TASKS),
    eventColumns: await columnsOf(database, EVENTS),
    tasks: await database.all(`SELECT * FROM "${TASKS}" ORDER BY "created_at", "id"`),
    events: groupByTask(await database.all(`SELECT * FROM "${EVENTS}" ORDER BY "task_id", "seq"`)),
  };
  await database.close();
  return source;
}

function groupByTask(events) {
  const groups = new Map();
  for (const event of events) {
    const group = groups.get(event.task_id);
    if (group === undefined) groups.set(event.task_id, [event]);
    else group.push(event);
  }
  return groups;
}

async function insertFor(database, { taskColumns, eventColumns, tasks, events }, durationMs) {
  const eventsPerTask = events.get(tasks[0].id).length;
  const insertTasks = await database.prepare(insertOf(TASKS, taskColumns, TASKS_PER_STATEMENT));
  const insertEvents = await database.prepare(insertOf(EVENTS, eventColumns, TASKS_PER_STATEMENT * eventsPerTask));
  const startedAt = performance.now();
  let inserted = 0;
  while (performance.now() - startedAt < durationMs) {
    await database.run('BEGIN IMMEDIATE');
    for (let made = 0; made < TASKS_PER_BATCH; made += TASKS_PER_STATEMENT) {
      const taskValues = [];
      const eventValues = [];
      for (let i = 0; i < TASKS_PER_STATEMENT; i++) {
        const task = tasks[(inserted + made + i) % tasks.length];
        const id = v7();
        for (const column of taskColumns) taskValues.push(column === 'id' || column === 'scoped_key' ? id : task[column]);
        for (const event of events.get(task.id))
          for (const column of eventColumns) eventValues.push(column === 'task_id' ? id : event[column]);
      }
      await insertTasks.run(taskValues);
      await insertEvents.run(eventValues);
    }
    await database.run('COMMIT');
    inserted += TASKS_PER_BATCH;
  }
  const perSecond = (inserted / (performance.now() - startedAt)) * 1000;
  await insertTasks.finalize();
  await insertEvents.finalize();
  return { perSecond, rowsPerSecond: perSecond * (1 + eventsPerTask) };
}

const insertOf = (table, columns, rows) =>
  `INSERT INTO "${table}" (${columns.map((column) => `"${column}"`).join(', ')}) VALUES ${Array(rows)
    .fill(`(${columns.map(() => '?').join(', ')})`)
    .join(', ')}`;
