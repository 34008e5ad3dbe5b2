import { type TaskId, taskId } from '../../../contracts/ids.js';
import { keyHash, scopedKey } from '../../../domain/task-key.js';
import { laneOf } from './lane-key.js';
import type { NewTask, SubmitAnswer, SubmitCall, SubmitOutcome, WaitingBound } from './submit-call.interface.js';

/** One home for all tasks of the cluster: no log's id, which is a UUID. */
export const CLUSTER_HOME = 'cluster';
/** Beyond it counting within each submit would cost more than the submit. */
const MOST_COUNTED = 10_000;

/** What the server answers: `states` only where not all tasks were made. */
export interface RawSubmitAnswer {
  readonly now: number;
  readonly bases: Readonly<Record<string, number>> | null;
  readonly states?: readonly string[];
  /** Who has the key, when it was created, or how long to wait. */
  readonly details?: readonly (string | null)[];
}

export interface EncodedSubmit {
  readonly head: object;
  readonly tasks: readonly object[];
}

export function encodeSubmit(call: SubmitCall): EncodedSubmit {
  const { tasks, window, start } = call;
  const hashes = tasks.map(hashOf);
  const replaced = tasks.flatMap(({ id, replaces }, at) =>
    replaces === null
      ? []
      : [{ i: at + 1, id: replaces.id, fence: replaces.fence, last_seq: replaces.lastSeq, dead: replaces.deadLetteredAt, by: id }],
  );
  const head = {
    me: call.me,
    all: call.all,
    lockMs: call.lockMs,
    sizeMs: window.sizeMs,
    max: window.max,
    userMax: window.maxPerUser,
    waiting: [boundOf(call.queued), boundOf(call.delayed)],
    ids: tasks.map(({ id }) => id),
    hashes,
    keyed: hashes.some((hash) => hash !== null),
    lanes: tasks.map(({ userId }) => laneOf(userId)),
    counted: tasks.map(({ userId, countsForUser }) => (userId === null || !countsForUser ? null : laneOf(userId))),
    runAt: tasks.map(({ runAt }) => runAt),
    ...(replaced.length === 0 ? {} : { replaced }),
    ...(start === null
      ? {}
      : { start: { all: start.limits.all, perUser: start.limits.perUser, handler: start.handlerLimit, name: tasks[0]?.name } }),
  };
  return { head, tasks: tasks.map((task, at) => taskRow(task, at + 1, hashes[at]!)) };
}

const boundOf = (bound: WaitingBound | null): readonly number[] | null =>
  bound === null || bound.max > MOST_COUNTED ? null : [bound.max, bound.maxPerUser];

const hashOf = ({ id, userId, key }: NewTask): string | null => (key === null ? null : keyHash(scopedKey(id, userId, key)));

/** What the server makes the rows of. `at`: its place in the call, from 1. */
export function taskRow(task: NewTask, at: number, hash: string | null): object {
  return {
    i: at,
    id: task.id,
    home: CLUSTER_HOME,
    name: task.name,
    task_key: task.key,
    scoped_key: scopedKey(task.id, task.userId, task.key),
    key_hash: hash,
    input_hash: task.inputHash,
    user_id: task.userId,
    user_key: laneOf(task.userId),
    type: task.type,
    priority: task.priority,
    tags: task.tags.length === 0 ? null : JSON.stringify(task.tags),
    key_base: task.keyBase,
    traceparent: task.traceparent,
    max_attempts: task.maxAttempts,
    timeout_ms: task.timeoutMs,
    run_at: task.runAt,
    delay_ms: task.delayMs,
    expires_at: task.expiresAt,
    input: task.input,
    data: task.data,
  };
}

export function submitAnswerOf(call: SubmitCall, raw: RawSubmitAnswer): SubmitAnswer {
  const { now, states, details } = raw;
  const started = call.start !== null;
  const outcomes: SubmitOutcome[] = call.tasks.map((task, at) => {
    const keyBase = raw.bases?.[task.id] ?? task.keyBase;
    if (states === undefined) return { kind: 'created', at: now, keyBase, started };
    return outcomeOf(states[at]!, details![at] ?? null, { keyBase, started, all: call.all });
  });
  // Two of one key in one call: where the first one was not created, the second one shares its fate.
  const firsts = new Map<string, number>();
  call.tasks.forEach((task, at) => {
    const hash = hashOf(task);
    if (hash === null) return;
    const first = firsts.get(hash);
    if (first === undefined) firsts.set(hash, at);
    else if (states?.[at] === 'd') outcomes[at] = outcomes[first]!;
  });
  return { now, outcomes };
}

interface Circumstances {
  readonly keyBase: number;
  readonly started: boolean;
  readonly all: boolean;
}

function outcomeOf(state: string, detail: string | null, { keyBase, started, all }: Circumstances): SubmitOutcome {
  switch (state) {
    case 'c':
      return { kind: 'created', at: Number(detail), keyBase, started };
    case 'e':
      return { kind: 'existing', id: taskId(detail!) as TaskId };
    case 'g':
      return { kind: 'refused', limit: 'global', retryAfterMs: Number(detail) };
    case 'u':
      return { kind: 'refused', limit: 'user', retryAfterMs: Number(detail) };
    case 'q':
      return { kind: 'refused', limit: 'queue', retryAfterMs: undefined };
    case 'l':
      return { kind: 'refused', limit: 'delayed', retryAfterMs: undefined };
    case 's':
      return { kind: 'refused', limit: 'slot', retryAfterMs: undefined };
    default:
      // 'a' alone: its key was taken, and given up again before anybody saw by whom.
      return all && state === 'a' ? { kind: 'withheld' } : { kind: 'stale' };
  }
}
