import type { LogEntry } from '../../../contracts/log-entry.interface.js';
import { foldOverHole } from '../../../domain/fold.js';
import { isEnded, type TaskState } from '../../../domain/task-state.js';
import type { TaskStatus } from '../../../contracts/task.interface.js';
import type { KeyHolder, Projection, StoredRows } from './batch-projection.js';
import { reasonOf } from '../../../repository/database-errors.js';
import { createdKeyHash } from './rejected/dead-entry-rows.js';
import { eventBody } from './log-line.js';
import { inChunks, insertRows } from '../../../repository/multi-row.js';
import { quarantinedColumn, QuarantinedTasks } from './rejected/quarantined-tasks.js';
import type { RowReader, SqlSession } from '../../../repository/sql-session.interface.js';
import { deleteTasks, MOST_ROWS_PER_DELETION } from './task-deletion.js';
import { pushTaskParameters, stateOfRow, taskColumns, WRITTEN_TASK_COLUMNS } from '../../../repository/task-row.mapper.js';
import { retireKeys } from './retired-keys.js';
import { failpoint } from '../../../primitives/failpoint.js';

const EVENT_COLUMNS = 7;
/** Never written again: what a task was submitted with. */
const FIXED_COLUMNS: ReadonlySet<string> = new Set([
  'id',
  'name',
  'task_key',
  'scoped_key',
  'user_id',
  'type',
  'created_at',
  'input',
  'result',
]);

/** @param setAside entries, of the same log, of tasks that are not applied: they decide whether such a task still needs its key. */
export async function loadRows(
  session: SqlSession,
  entries: readonly LogEntry[],
  setAside: readonly LogEntry[],
  home: string,
): Promise<StoredRows> {
  const ids = new Set<string>();
  const hashes = new Set<string>();
  for (const entry of entries) {
    if (entry.taskId === '') continue;
    ids.add(entry.taskId);
    const hash = createdKeyHash(entry);
    if (hash !== null) hashes.add(hash);
  }
  const tasks: [string, { state: ReturnType<typeof stateOfRow>; keyHash: string | null }][] = [];
  await inChunks(session, [...ids], async (places, values) => {
    const sql = `SELECT ${taskColumns(session.dialect, false)}, "key_hash" FROM ${session.tables.tasks} WHERE "id" IN (${places})`;
    for (const row of await session.rows(sql, values)) {
      const state = stateOfRow(row);
      tasks.push([state.id, { state, keyHash: (row['key_hash'] ?? null) as string | null }]);
    }
  });
  return { tasks: new Map(tasks), keyHolders: await loadKeyHolders(session, [...hashes], setAside, home) };
}

async function loadKeyHolders(
  session: SqlSession,
  hashes: readonly string[],
  setAside: readonly LogEntry[],
  home: string,
): Promise<StoredRows['keyHolders']> {
  const holders = new Map<string, KeyHolder>();
  const doubtful = new Map<string, string>();
  const aside = new Set(setAside.map((entry) => entry.taskId as string));
  await inChunks(session, hashes, async (places, values) => {
    const sql = `SELECT "key_hash", "id", "home", "status", "created_at", ${quarantinedColumn(session)} FROM ${session.tables.tasks} AS t WHERE "key_hash" IN (${places})`;
    for (const row of await session.rows(sql, values)) {
      const [id, hash] = [row['id'] as string, row['key_hash'] as string];
      const ended = isEnded(row['status'] as TaskStatus);
      holders.set(hash, { id, home: row['home'] as string, ended, createdAt: Number(row['created_at']) });
      if (row['quarantined'] || aside.has(id)) doubtful.set(id, hash);
    }
  });
  // Their rows stopped: whether they ended since is in what is dead.
  for (const [id, state] of await foldedStates(session, [...doubtful.keys()], setAside, home)) {
    const hash = doubtful.get(id)!;
    holders.set(hash, { ...holders.get(hash)!, home: state?.home ?? home, ended: state === null || isEnded(state.status) });
  }
  return holders;
}

/** Tasks as of entries that are, or will be, dead; null: gone. */
export async function foldedStates(
  session: RowReader,
  ids: readonly string[],
  setAside: readonly LogEntry[],
  home: string,
): Promise<Map<string, TaskState | null>> {
  if (ids.length === 0) return new Map();
  const stored = await new QuarantinedTasks(session).findByIds(ids);
  const states = new Map<string, TaskState | null>(ids.map((id) => [id, stored.get(id) ?? null]));
  for (const entry of setAside) {
    const state = states.get(entry.taskId);
    if (state !== undefined) states.set(entry.taskId, foldOverHole(state, entry, home));
  }
  return states;
}

/** Rows as statement parameters. */
export interface EncodedProjection {
  readonly tasks: readonly unknown[];
  readonly events: readonly unknown[];
  /** Tasks that have no text form, and why. */
  readonly poisoned: ReadonlyMap<string, string>;
}

export function encodeProjection(projection: Projection): EncodedProjection {
  const tasks: unknown[] = [];
  const events: unknown[] = [];
  const poisoned = new Map<string, string>();
  for (const { state, keyHash: hash } of projection.tasks) {
    try {
      pushTaskParameters(tasks, state, hash);
    } catch (error) {
      poisoned.set(state.id, reasonOf(error));
    }
  }
  for (const entry of projection.events) {
    try {
      events.push(entry.taskId, entry.taskSeq, entry.type, entry.at, entry.attempt, entry.fence, eventBody(entry));
    } catch (error) {
      poisoned.set(entry.taskId, reasonOf(error));
    }
  }
  return { tasks, events, poisoned };
}

export async function writeProjection(
  session: SqlSession,
  projection: Projection,
  encoded: EncodedProjection,
  deletedAtOnce: number = MOST_ROWS_PER_DELETION,
): Promise<void> {
  const { tables } = session;
  // First what frees keys: the unique index looks at each row as it is written.
  await deleteTasks(session, projection.deleted, deletedAtOnce);
  await retireKeys(session, projection.retired);
  await inChunks(session, projection.keyLosers, (places, ids) =>
    session.run(`UPDATE ${tables.tasks} SET "key_hash" = NULL WHERE "id" IN (${places})`, ids),
  );
  await insertRows(session, taskInsert(session), WRITTEN_TASK_COLUMNS.length, encoded.tasks, taskUpdate());
  failpoint('flush.after-rows');
  const eventInsert = `INSERT INTO ${tables.events} ("task_id", "seq", "type", "at", "attempt", "fence", "data")`;
  await insertRows(session, eventInsert, EVENT_COLUMNS, encoded.events, 'ON CONFLICT ("task_id", "seq") DO NOTHING');
  failpoint('flush.after-events');
}

const taskInsert = (session: SqlSession): string =>
  `INSERT INTO ${session.tables.tasks} AS held (${WRITTEN_TASK_COLUMNS.map((column) => `"${column}"`).join(', ')})`;

/** A row is never set back. The result belongs to `completed`, and was not loaded where it was stored before. */
function taskUpdate(): string {
  const moving = WRITTEN_TASK_COLUMNS.filter((column) => !FIXED_COLUMNS.has(column)).map((column) => `"${column}" = excluded."${column}"`);
  const result = `"result" = CASE WHEN excluded."status" = 'completed' THEN COALESCE(excluded."result", held."result") END`;
  return `ON CONFLICT ("id") DO UPDATE SET ${moving.join(', ')}, ${result} WHERE held."last_seq" <= excluded."last_seq" AND held."fence" <= excluded."fence"`;
}
