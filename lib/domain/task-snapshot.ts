import { idempotencyKey, taskId as brandedTaskId, taskName, userId } from '../contracts/ids.js';
import type { StoredEvent } from '../contracts/task-event.interface.js';
import type { EventLogEntry } from '../contracts/task-repository.interface.js';
import type { Task } from '../contracts/task.interface.js';
import { errorForClients } from './client-error.js';
import { isControl } from './entry-types.js';
import { fold } from './fold.js';
import { frozenJson, frozenList } from './frozen.js';
import { storedEventOf } from './task-event.js';
import { keyOfScoped } from './task-key.js';
import type { CancelRequest, TaskState } from './task-state.js';

const dateOrNull = (ms: number | null): Date | null => (ms === null ? null : new Date(ms));
const msOrNull = (date: Date | null | undefined): number | null => (date === null || date === undefined ? null : date.getTime());

/** What users get: data, frozen. Bodies that were not loaded are left out. */
class TaskSnapshot {
  readonly id: Task['id'];
  readonly name: Task['name'];
  readonly idempotencyKey: Task['idempotencyKey'];
  readonly userId: Task['userId'];
  readonly type: Task['type'];
  readonly status: Task['status'];
  readonly input: unknown;
  readonly attempt: number;
  readonly maxAttempts: number;
  readonly fence: number;
  readonly life: number;
  readonly recoveries: number;
  readonly postponements: number;
  readonly timeoutMs: number;
  readonly cancelRequestedAt: Date | null;
  readonly cancelReason?: string;
  readonly priority: number;
  readonly tags: readonly string[];
  readonly lastSeq: number;
  readonly deadLetteredAt: Date | null;
  readonly createdAt: Date;
  readonly runAt: Date;
  readonly expiresAt: Date | null;
  readonly startedAt: Date | null;
  readonly completedAt: Date | null;
  readonly lastHeartbeatAt: Date | null;
  readonly progress?: unknown;
  readonly result?: unknown;
  readonly error?: Task['error'];
  readonly resume?: Task['resume'];
  readonly retryDelayMs?: number;
  readonly keyBase?: number;
  readonly supersededBy?: Task['id'];

  constructor(state: TaskState, input: string | undefined) {
    this.id = state.id;
    this.name = taskName(state.name);
    this.idempotencyKey = idempotencyKey(state.key ?? state.id);
    this.userId = state.userId === null ? null : userId(state.userId);
    this.type = state.type;
    this.status = state.status;
    this.input = input === undefined ? undefined : JSON.parse(input);
    this.attempt = state.attempt;
    this.maxAttempts = state.maxAttempts;
    this.fence = state.fence;
    this.life = state.life;
    this.recoveries = state.recoveries;
    this.postponements = state.postponements;
    this.timeoutMs = state.timeoutMs;
    this.cancelRequestedAt = dateOrNull(state.cancelRequest?.at ?? null);
    if (state.cancelRequest?.reason !== undefined) this.cancelReason = state.cancelRequest.reason;
    this.priority = state.priority;
    this.tags = frozenList(state.tags);
    this.lastSeq = state.lastSeq;
    this.deadLetteredAt = dateOrNull(state.deadLetteredAt);
    this.createdAt = new Date(state.createdAt);
    this.runAt = new Date(state.runAt);
    this.expiresAt = dateOrNull(state.expiresAt);
    this.startedAt = dateOrNull(state.startedAt);
    this.completedAt = dateOrNull(state.completedAt);
    this.lastHeartbeatAt = dateOrNull(state.lastHeartbeatAt);
    if (state.progress !== undefined) this.progress = frozenJson(JSON.parse(state.progress));
    if (state.result !== undefined) this.result = JSON.parse(state.result);
    if (state.error !== null) this.error = Object.freeze({ ...state.error });
    if (state.resume !== null) this.resume = state.resume;
    if (state.retryDelayMs !== null) this.retryDelayMs = state.retryDelayMs;
    if (state.keyBase > 0) this.keyBase = state.keyBase;
    if (state.supersededBy !== null) this.supersededBy = brandedTaskId(state.supersededBy);
  }

  /** ISO times, whatever serialises it, and of an unexpected error what clients may know: this form is what controllers answer with. */
  toJSON(): Record<string, unknown> {
    return this.error === undefined ? inJson(this) : { ...inJson(this), error: errorForClients(this.error) };
  }
}

/** Its JSON has the whole error: for storage, and where `exposeErrorMessages` is on. */
class WholeSnapshot extends TaskSnapshot {
  override toJSON(): Record<string, unknown> {
    return inJson(this);
  }
}

/** For storage of the user's own: what the next fold needs and nobody else asks for. */
class StoredSnapshot extends WholeSnapshot {
  readonly lastEventAt: Date;
  constructor(state: TaskState) {
    super(state, state.input);
    this.lastEventAt = new Date(state.lastEventAt);
  }
}

const inJson = (snapshot: TaskSnapshot): Record<string, unknown> =>
  Object.fromEntries(Object.entries(snapshot).map(([name, value]) => [name, value instanceof Date ? value.toISOString() : value]));

/** @param exposesErrors whether the JSON form shows messages of unexpected errors. */
export const snapshotOf = (state: TaskState, exposesErrors = false): Task =>
  Object.freeze(exposesErrors ? new WholeSnapshot(state, state.input) : new TaskSnapshot(state, state.input)) as Task;

/** A new task as of its `created` event, though its `start` may be durable with it. */
export function createdSnapshotOf(state: TaskState, input: string): Task {
  const task: { -readonly [K in keyof TaskSnapshot]: TaskSnapshot[K] } = new TaskSnapshot(state, input);
  task.status = 'created';
  task.lastSeq = 1;
  task.fence = 0;
  task.startedAt = null;
  task.lastHeartbeatAt = null;
  return Object.freeze(task) as Task;
}

/**
 * The inverse, for storage that keeps public tasks. What a task does not show is set so that nothing is done twice:
 * a wait that cannot be told from a delayed submit counts as one.
 */
export function stateOf(task: Task, home: string): TaskState {
  const key = (task.idempotencyKey as string) === (task.id as string) ? null : task.idempotencyKey;
  const createdAt = msOrNull(task.createdAt) ?? 0;
  return {
    id: task.id,
    home,
    name: task.name,
    key,
    userId: task.userId,
    type: task.type,
    status: task.status,
    priority: task.priority ?? 0,
    tags: task.tags ?? [],
    inputHash: null,
    supersededBy: task.supersededBy ?? null,
    keyBase: task.keyBase ?? 0,
    traceparent: null,
    attempt: task.attempt,
    maxAttempts: task.maxAttempts,
    failures: task.attempt - 1 + (task.status === 'failed' ? 1 : 0),
    fence: task.fence,
    life: task.life ?? 1,
    recoveries: task.recoveries ?? 0,
    postponements: task.postponements ?? 0,
    timeoutMs: task.timeoutMs,
    cancelRequest: cancelRequestOf(task),
    lastSeq: task.lastSeq,
    createdAt,
    runAt: msOrNull(task.runAt) ?? createdAt,
    expiresAt: msOrNull(task.expiresAt),
    retryDelayMs: task.retryDelayMs ?? backoffAtMost(task),
    resume: task.resume ?? (task.status === 'created' && task.recoveries > 0 ? 'crash' : null),
    startedAt: msOrNull(task.startedAt),
    completedAt: msOrNull(task.completedAt),
    lastHeartbeatAt: msOrNull(task.lastHeartbeatAt),
    lastEventAt: lastEventOf(task),
    deadLetteredAt: msOrNull(task.deadLetteredAt),
    error: task.error ?? null,
    owner: '',
    progress: task.progress === undefined ? undefined : JSON.stringify(task.progress),
    input: task.input === undefined ? undefined : JSON.stringify(task.input),
    result: task.result === undefined ? undefined : JSON.stringify(task.result),
  };
}

/**
 * A bound of the backoff that a task waits for, where storage did not keep it: from the start of the run before, as the backoff began
 * later. Null: none is known, or it never ran.
 */
function backoffAtMost({ status, recoveries, startedAt, runAt }: Task): number | null {
  const sinceStartMs = (msOrNull(runAt) ?? 0) - (msOrNull(startedAt) ?? Infinity);
  return status === 'created' && !(recoveries > 0) && sinceStartMs > 0 ? sinceStartMs : null;
}

/** Where storage did not keep it: no earlier than any time that the task shows. */
function lastEventOf({ lastEventAt, createdAt, startedAt, completedAt, lastHeartbeatAt, cancelRequestedAt }: Task): number {
  const shown = [createdAt, startedAt, completedAt, lastHeartbeatAt, cancelRequestedAt, lastEventAt ?? null];
  return Math.max(...shown.map((time) => msOrNull(time) ?? 0));
}

function cancelRequestOf({ cancelRequestedAt, cancelReason }: Task): CancelRequest | null {
  const at = msOrNull(cancelRequestedAt);
  return at === null ? null : { at, ...(cancelReason === undefined ? {} : { reason: cancelReason }) };
}

/** The fold that every repository needs: the task after one more entry; null: delete it, or nothing to do. Pure. @throws FoldGapError on a hole. */
export function applyEntry(task: Task | null, entry: EventLogEntry): Task | null {
  const before = task === null ? null : stateOf(task, '');
  const after = fold(before, { ...entry, at: entry.timestamp, owner: entry.ownerId }, '');
  if (after === null) return null;
  return after === before ? task : (Object.freeze(new StoredSnapshot(after)) as Task);
}

/** The event that subscribers replay; null for control entries. */
export function toStoredEvent(entry: EventLogEntry): StoredEvent | null {
  if (isControl(entry.type) || entry.taskSeq === undefined) return null;
  const key = (entry.scopedKey as string) === (entry.taskId as string) ? null : keyOfScoped(entry.scopedKey);
  return storedEventOf(
    { id: entry.taskId, name: entry.name, key, userId: entry.userId },
    {
      taskSeq: entry.taskSeq,
      type: entry.type,
      at: entry.timestamp,
      attempt: entry.attempt,
      fence: entry.fence,
      body: JSON.stringify(entry.data),
    },
  );
}
