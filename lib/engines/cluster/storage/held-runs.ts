import { changed, type TaskState } from '../../../domain/task-state.js';
import { stateOfRow } from '../../../repository/task-row.mapper.js';
import type { WorkKind } from './apply-call.interface.js';
import { TASK_COLUMNS_V1 } from './functions/take.sql.js';
import type { HeldRun } from './server-functions.js';

/** A run as `claim` gives it out: kind, time of its start, input, and the columns of its row from before it. */
export type RawRun = readonly [kind: number, at: number, input: string | null, ...columns: unknown[]];

export function claimedRun([kind, at, input, ...columns]: RawRun, me: string): HeldRun {
  const row = Object.fromEntries(TASK_COLUMNS_V1.map((column, place) => [column, columns[place] ?? null]));
  return { task: startedAs(stateOfRow({ ...row, input }), at, me), kind: kind as WorkKind };
}

/** The fold of its `start`, of which the server said when it was. */
const startedAs = (waiting: TaskState, at: number, me: string): TaskState =>
  changed(waiting, {
    status: 'running',
    fence: waiting.fence + 1,
    lastSeq: waiting.lastSeq + 1,
    startedAt: at,
    lastHeartbeatAt: at,
    lastEventAt: at,
    retryDelayMs: null,
    owner: me,
  });
