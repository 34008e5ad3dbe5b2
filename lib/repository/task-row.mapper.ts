import { taskId } from '../contracts/ids.js';
import type { EntryType } from '../contracts/task-event.interface.js';
import type { StoredEntry } from '../contracts/task-history.interface.js';
import type { TaskErrorInfo, TaskStatus, TaskType } from '../contracts/task.interface.js';
import { scopedKey } from '../domain/task-key.js';
import type { CancelRequest, TaskState } from '../domain/task-state.js';
import type { Dialect } from './dialect.js';
import type { SqlRow } from './sql-session.interface.js';

const HEAD_COLUMNS = [
  'id',
  'home',
  'name',
  'task_key',
  'input_hash',
  'user_id',
  'type',
  'status',
  'priority',
  'tags',
  'superseded_by',
  'key_base',
  'traceparent',
  'attempt',
  'max_attempts',
  'failures',
  'fence',
  'life',
  'recoveries',
  'postponements',
  'timeout_ms',
  'cancel_requested_at',
  'cancel_reason',
  'last_seq',
  'created_at',
  'run_at',
  'expires_at',
  'retry_delay_ms',
  'resume',
  'started_at',
  'completed_at',
  'last_heartbeat_at',
  'last_event_at',
  'dead_lettered_at',
  'error',
  'owner',
  'progress',
] as const;

const HEAD = HEAD_COLUMNS.map((column) => `"${column}"`).join(', ');
/** Everything but the bodies in one value. */
const HEAD_AS_JSON = `json_object(${HEAD_COLUMNS.map((column) => `'${column}', "${column}"`).join(', ')}) AS head`;

/** What `stateOfRow` reads, to be selected. */
export const taskColumns = (dialect: Dialect, withBodies = true): string =>
  `${dialect.rowsAsJson ? HEAD_AS_JSON : HEAD}${withBodies ? ', "input", "result"' : ''}`;

/** What `pushTaskParameters` writes, in its order. */
export const WRITTEN_TASK_COLUMNS = [...HEAD_COLUMNS, 'input', 'result', 'scoped_key', 'key_hash'] as const;

/** PostgreSQL gives bigint as text; ours are counters and epoch ms, far below 2^53. */
const numberOrNull = (value: unknown): number | null => (value === null ? null : Number(value));
const textOrNull = (value: unknown): string | null => (value ?? null) as string | null;

export function stateOfRow(selected: SqlRow): TaskState {
  const { head, input, result } = selected;
  const row = typeof head === 'string' ? (JSON.parse(head) as SqlRow) : selected;
  return {
    id: taskId(row['id'] as string),
    home: row['home'] as string,
    name: row['name'] as string,
    key: textOrNull(row['task_key']),
    userId: textOrNull(row['user_id']),
    type: row['type'] as TaskType,
    status: row['status'] as TaskStatus,
    priority: row['priority'] as number,
    tags: row['tags'] === null ? [] : (JSON.parse(row['tags'] as string) as string[]),
    inputHash: textOrNull(row['input_hash']),
    supersededBy: textOrNull(row['superseded_by']),
    keyBase: Number(row['key_base'] ?? 0),
    traceparent: textOrNull(row['traceparent']),
    attempt: row['attempt'] as number,
    maxAttempts: row['max_attempts'] as number,
    failures: row['failures'] as number,
    fence: row['fence'] as number,
    life: row['life'] as number,
    recoveries: row['recoveries'] as number,
    postponements: (row['postponements'] ?? 0) as number,
    timeoutMs: Number(row['timeout_ms']),
    cancelRequest: cancelRequestOf(row),
    lastSeq: Number(row['last_seq']),
    createdAt: Number(row['created_at']),
    runAt: Number(row['run_at']),
    expiresAt: numberOrNull(row['expires_at']),
    retryDelayMs: numberOrNull(row['retry_delay_ms']),
    resume: textOrNull(row['resume']) as TaskState['resume'],
    startedAt: numberOrNull(row['started_at']),
    completedAt: numberOrNull(row['completed_at']),
    lastHeartbeatAt: numberOrNull(row['last_heartbeat_at']),
    lastEventAt: Number(row['last_event_at']),
    deadLetteredAt: numberOrNull(row['dead_lettered_at']),
    error: row['error'] === null ? null : (JSON.parse(row['error'] as string) as TaskErrorInfo),
    owner: row['owner'] as string,
    progress: (row['progress'] ?? undefined) as string | undefined,
    input: (input ?? undefined) as string | undefined,
    result: (result ?? undefined) as string | undefined,
  };
}

function cancelRequestOf(row: SqlRow): CancelRequest | null {
  const at = numberOrNull(row['cancel_requested_at']);
  const reason = textOrNull(row['cancel_reason']);
  return at === null ? null : { at, ...(reason === null ? {} : { reason }) };
}

/** Appends the values of one row, in the order of `WRITTEN_TASK_COLUMNS`. */
export function pushTaskParameters(into: unknown[], state: TaskState, keyHash: string | null): void {
  into.push(
    state.id,
    state.home,
    state.name ?? null,
    state.key,
    state.inputHash,
    state.userId,
    state.type,
    state.status,
    state.priority,
    state.tags.length === 0 ? null : JSON.stringify(state.tags),
    state.supersededBy,
    state.keyBase === 0 ? null : state.keyBase,
    state.traceparent,
    state.attempt,
    state.maxAttempts ?? null,
    state.failures,
    state.fence,
    state.life,
    state.recoveries,
    state.postponements === 0 ? null : state.postponements,
    state.timeoutMs ?? null,
    state.cancelRequest?.at ?? null,
    state.cancelRequest?.reason ?? null,
    state.lastSeq,
    state.createdAt,
    state.runAt,
    state.expiresAt,
    state.retryDelayMs,
    state.resume,
    state.startedAt,
    state.completedAt,
    state.lastHeartbeatAt,
    state.lastEventAt,
    state.deadLetteredAt,
    state.error === null ? null : (JSON.stringify(state.error) ?? null),
    state.owner,
    state.progress ?? null,
    state.input ?? null,
    state.result ?? null,
    scopedKey(state.id, state.userId, state.key),
    keyHash,
  );
}

/** A row of the events. */
export function entryOfRow(row: SqlRow): StoredEntry {
  return {
    taskSeq: Number(row['seq']),
    type: row['type'] as EntryType,
    at: Number(row['at']),
    attempt: row['attempt'] as number,
    fence: row['fence'] as number,
    body: row['data'] as string,
  };
}
