import { fold } from '../../../domain/fold.js';
import { changed, type TaskState } from '../../../domain/task-state.js';
import { POSTGRES } from '../../../repository/dialect.js';
import type { SqlRow } from '../../../repository/sql-session.interface.js';
import { stateOfRow, taskColumns } from '../../../repository/task-row.mapper.js';
import type { ClusterNames } from './cluster-names.js';
import { entriesOfRow } from './packed-entries.js';

const HELD = [
  'owner',
  'fence',
  'last_seq',
  'kind',
  'started_at',
  'last_event_at',
  'progress_seq',
  'cancel_requested_at',
  'cancel_reason',
].map((column) => `r."${column}" AS "r_${column}"`);

const prefixed = (columns: string): string => columns.replaceAll(/"(\w+)"/g, 't."$1"');

/** Selected from `placesOf`, for `stateOfHeldRow`. */
export const heldSelection = (t: ClusterNames, withBodies: boolean): string =>
  [
    prefixed(taskColumns(POSTGRES, withBodies)),
    ...HELD,
    'coalesce(r."heartbeat_at", m."beat_at") AS "r_beat_at"',
    // The row of events that holds the newest progress, as one value.
    `(SELECT row_to_json(e) FROM (SELECT "seq", "n", "type", "at", "attempt", "fence", "data" FROM ${t.events} WHERE "task_id" = r."task_id"` +
      ` AND "seq" >= r."progress_seq" ORDER BY "seq" LIMIT 1) AS e) AS "r_progress"`,
  ].join(', ');

/** Tasks with the runs that they have, and the members that own those. */
export const placesOf = (t: ClusterNames): string =>
  `${t.tasks} AS t LEFT JOIN ${t.runs} AS r ON r."task_id" = t."id" LEFT JOIN ${t.members} AS m ON m."id" = r."owner"`;

/** The newest state of a task: its row, which is written when it waits or ends, with what its run says, where it runs. */
export function stateOfHeldRow(row: SqlRow): TaskState {
  const state = stateOfRow(row);
  if (row['r_owner'] === null) return state;
  const startedAt = Number(row['r_started_at']);
  const requestedAt = row['r_cancel_requested_at'];
  const reason = row['r_cancel_reason'];
  const running = changed(state, {
    status: 'running',
    owner: row['r_owner'] as string,
    fence: row['r_fence'] as number,
    lastSeq: Number(row['r_last_seq']),
    startedAt,
    lastHeartbeatAt: Math.max(startedAt, Number(row['r_beat_at'] ?? 0)),
    lastEventAt: Number(row['r_last_event_at']),
    retryDelayMs: null,
    cancelRequest: requestedAt === null ? null : { at: Number(requestedAt), ...(typeof reason === 'string' ? { reason } : {}) },
  });
  return row['r_progress'] === null ? running : withProgress(running, row['r_progress'] as SqlRow, Number(row['r_progress_seq']));
}

/** By the fold's own rule of what is small enough. */
function withProgress(state: TaskState, row: SqlRow, seq: number): TaskState {
  const entry = entriesOfRow(row).find(({ taskSeq }) => taskSeq === seq);
  if (entry === undefined) return state;
  const data = entry.body === '' ? {} : (JSON.parse(entry.body) as Record<string, unknown>);
  const told = fold(changed(state, { lastSeq: seq - 1 }), { ...entry, taskId: state.id, owner: state.owner, data }, state.home);
  return changed(state, { progress: told?.progress });
}
