import { taskId } from '../../../contracts/ids.js';
import type { SqlRow } from '../../../repository/sql-session.interface.js';
import type { WorkKind } from './apply-call.interface.js';
import type { ClusterNames } from './cluster-names.js';
import { CLOCK_MS } from './functions/function-text.js';
import type { HeldRun, Member, OwnRun } from './server-functions.js';
import { heldSelection, stateOfHeldRow } from './task-places.js';

export const membersStatement = (t: ClusterNames): string =>
  `SELECT c."now", m.* FROM (SELECT ${CLOCK_MS} AS "now") AS c LEFT JOIN ${t.members} AS m ON true ORDER BY m."id"`;

export const readMember = (row: SqlRow): Member => ({
  id: row['id'] as string,
  beat: Number(row['beat']),
  beatAt: Number(row['beat_at']),
  version: row['version'] as string,
  handlers: JSON.parse(row['handlers'] as string) as string[],
  configHash: row['config_hash'] as string,
  draining: row['draining'] as boolean,
});

/** Of nobody: an owner that left, was reaped, or reaped by somebody who died half-way. All the same to whoever looks. */
export const orphansStatement = (t: ClusterNames): string =>
  `SELECT ${heldSelection(t, false)} FROM ${t.runs} AS r JOIN ${t.tasks} AS t ON t."id" = r."task_id"` +
  ` LEFT JOIN ${t.members} AS m ON false WHERE NOT EXISTS (SELECT FROM ${t.members} AS m WHERE m."id" = r."owner") ORDER BY r."task_id" LIMIT ?`;

export const readHeldRun = (row: SqlRow): HeldRun => ({ task: stateOfHeldRow(row), kind: row['r_kind'] as WorkKind });

export const ownStatement = (t: ClusterNames): string =>
  `SELECT "task_id", "fence", "last_seq", "cancel_requested_at", "cancel_reason" FROM ${t.runs} WHERE "owner" = ? ORDER BY "task_id"`;

export function readOwnRun(row: SqlRow): OwnRun {
  const at = row['cancel_requested_at'];
  const reason = row['cancel_reason'];
  return {
    id: taskId(row['task_id'] as string),
    fence: row['fence'] as number,
    lastSeq: Number(row['last_seq']),
    cancelRequest: at === null ? null : { at: Number(at), ...(typeof reason === 'string' ? { reason } : {}) },
  };
}
