import { keyHash, scopedKey } from '../../../domain/task-key.js';
import { nextKeyBase, type TaskState } from '../../../domain/task-state.js';
import type { ApplyAnswer, ApplyCall, Move, NextPlace } from './apply-call.interface.js';
import { laneOf } from './lane-key.js';

const CODES = { queue: 'q', runs: 'r', ended: 'e', foreign: 'f', gone: 'g' } as const;

export interface RawApplyAnswer {
  readonly now: number;
  readonly applied: readonly boolean[];
}

export interface EncodedMoves {
  readonly head: object;
  readonly moves: readonly object[];
}

export function encodeMoves({ me, moves, lockMs }: ApplyCall): EncodedMoves {
  const seen = moves.map(({ seen: each, task }, at) => ({
    i: at + 1,
    id: task.id,
    place: CODES[each.place],
    fence: each.fence,
    last_seq: each.lastSeq,
    uncancelled: each.uncancelled ?? false,
    dead: each.deadLetteredAt ?? null,
    superseded: each.supersededBy ?? null,
    home: each.home ?? null,
  }));
  const places = [...new Set(seen.map(({ place }) => place))].join('');
  return { head: { me, lockMs, n: moves.length, places, seen }, moves: moves.map((move, at) => rowOf(move, at + 1)) };
}

export const applyAnswerOf = ({ now, applied }: RawApplyAnswer): ApplyAnswer => ({
  now,
  outcomes: applied.map((isApplied) => (isApplied ? 'applied' : 'stale')),
});

function rowOf({ seen, next, task, entries }: Move, at: number): object {
  return { i: at, id: task.id, place: CODES[seen.place], next: CODES[next.place], ...placeOf(next, task), entries };
}

function placeOf(next: NextPlace, task: TaskState): object {
  switch (next.place) {
    case 'queue':
      return {
        ...columnsOf(task),
        kind: next.kind,
        due_at: next.dueAt,
        name: task.name,
        user_key: laneOf(task.userId),
        priority: task.priority,
      };
    case 'runs':
      return {
        last_seq: task.lastSeq,
        last_event_at: task.lastEventAt,
        progress_seq: next.progressSeq ?? null,
        kind: next.kind ?? null,
        mark_at: next.cancelRequest?.at ?? null,
        mark_reason: next.cancelRequest?.reason ?? null,
      };
    case 'ended':
      return columnsOf(task);
    default: {
      // A key that went to a newer task is that one's to remember.
      const isHolder = task.key !== null && task.supersededBy === null;
      return isHolder ? { key_hash: keyHash(scopedKey(task.id, task.userId, task.key)), key_base: nextKeyBase(task) } : {};
    }
  }
}

function columnsOf(task: TaskState): object {
  return {
    home: task.home,
    status: task.status,
    attempt: task.attempt,
    failures: task.failures,
    fence: task.fence,
    life: task.life,
    recoveries: task.recoveries,
    postponements: task.postponements === 0 ? null : task.postponements,
    cancel_requested_at: task.cancelRequest?.at ?? null,
    cancel_reason: task.cancelRequest?.reason ?? null,
    last_seq: task.lastSeq,
    run_at: task.runAt,
    expires_at: task.expiresAt,
    retry_delay_ms: task.retryDelayMs,
    resume: task.resume,
    started_at: task.startedAt,
    completed_at: task.completedAt,
    last_heartbeat_at: task.lastHeartbeatAt,
    last_event_at: task.lastEventAt,
    dead_lettered_at: task.deadLetteredAt,
    error: task.error === null ? null : JSON.stringify(task.error),
    owner: task.owner,
    progress: task.progress ?? null,
    result: task.result ?? null,
  };
}
