import type { EntryData } from '../contracts/log-entry.interface.js';
import type { TaskErrorInfo } from '../contracts/task.interface.js';
import { isControl } from './entry-types.js';
import { FreshTask } from './fresh-task.js';
import { storableText } from './text-rules.js';
import { changed, copyOf, type CreatedData, type FoldableEntry, type TaskState, type Writable } from './task-state.js';

/** An entry that no replay can explain: there is a hole before it. */
export class FoldGapError extends Error {
  constructor(
    readonly taskId: string,
    readonly taskSeq: number,
    readonly lastSeq: number,
  ) {
    super(`Task ${taskId}: entry ${taskSeq} cannot follow ${lastSeq}.`);
  }
}

/**
 * The task after one more entry; null: it is gone, or never was. Pure. The same object comes back when the entry changes
 * nothing: a replayed stream entry, a control entry of an older fence or of an unknown task.
 * Bodies: `created` and `complete` set `input` and `result` when the entry's data has them, else they stay unloaded.
 * @param home log that the entry was read from; only `created` and `adopted` take it over.
 * @throws FoldGapError when a stream entry is not the stored `lastSeq` + 1 and no replay.
 */
export function fold(state: TaskState | null, entry: FoldableEntry, home: string): TaskState | null {
  if (isControl(entry.type)) return state === null || entry.fence < state.fence ? state : foldControl(state, entry, home);
  const lastSeq = state?.lastSeq ?? 0;
  const taskSeq = entry.taskSeq ?? Number.NaN;
  if (taskSeq <= lastSeq) return state;
  if (taskSeq !== lastSeq + 1) throw new FoldGapError(entry.taskId, taskSeq, lastSeq);
  if (state === null) return entry.type === 'created' ? foldCreated(entry, home) : null;
  const next = copyOf(state);
  next.lastSeq = taskSeq;
  next.lastEventAt = entry.at;
  next.owner = entry.owner;
  advance(next, entry);
  return next;
}

/**
 * A fold that goes on over missing entries: those that the log lost in a repair, or that the database rejected. An entry after the hole is
 * valid on its own, because the process that made it checked it then; so what it says of its run holds, whatever was lost before it.
 * Null: the task is gone, or its `created` entry is lost.
 */
export function foldOverHole(state: TaskState | null, entry: FoldableEntry & { readonly attempt: number }, home: string): TaskState | null {
  if (state === null) return entry.type === 'created' && entry.taskSeq === 1 ? fold(null, entry, home) : null;
  const { taskSeq } = entry;
  if (taskSeq === undefined || taskSeq <= state.lastSeq + 1) return fold(state, entry, home);
  const bridged = changed(state, {
    lastSeq: taskSeq - 1,
    // A lost `start` or `retry`: no number of theirs is given to a later run.
    fence: Math.max(state.fence, entry.fence),
    attempt: Math.max(state.attempt, entry.attempt),
    // Only a run reports.
    ...(entry.type === 'progress' || entry.type === 'custom' ? { status: 'running' as const } : {}),
  });
  return fold(bridged, entry, home);
}

/** What a stream entry changes beside the numbers that every one changes. */
function advance(next: Writable, entry: FoldableEntry): void {
  switch (entry.type) {
    case 'start':
      next.status = 'running';
      next.fence = entry.fence;
      next.startedAt = entry.at;
      next.lastHeartbeatAt = entry.at;
      next.retryDelayMs = null;
      return;
    case 'retry':
      return advanceRetry(next, entry);
    case 'recovered':
      next.status = 'created';
      next.recoveries = numberOf(entry.data['recoveries'], next.recoveries + 1);
      next.runAt = entry.at;
      next.resume = entry.data['reason'] === 'stale' ? 'stale' : 'crash';
      next.retryDelayMs = null;
      return;
    case 'complete':
      next.status = 'completed';
      next.completedAt = entry.at;
      next.error = null;
      next.result = textOf(entry.data['result']);
      return;
    case 'error':
      next.status = 'failed';
      next.completedAt = entry.at;
      next.failures += 1;
      next.error = entry.data['error'] as TaskErrorInfo;
      next.deadLetteredAt = entry.at;
      return;
    case 'cancelled':
      next.status = 'cancelled';
      next.completedAt = entry.at;
      return;
    case 'progress':
      next.progress = progressOf(entry);
      return;
    default: // custom
  }
}

function foldCreated(entry: FoldableEntry, home: string): TaskState {
  const data = entry.data as unknown as CreatedData;
  const fresh = new FreshTask(entry.taskId, home, entry.at, entry.owner, data);
  if (data.input === undefined) return fresh;
  const whole = copyOf(fresh);
  whole.input = textOf(data.input);
  return whole;
}

function advanceRetry(next: Writable, entry: FoldableEntry): void {
  const reason = entry.data['reason'];
  next.status = 'created';
  next.recoveries = 0;
  next.runAt = numberOf(entry.data['runAt'], entry.at);
  next.retryDelayMs = numberOf(entry.data['delayMs'], 0);
  next.completedAt = null;
  if (reason === 'failed') {
    next.attempt += 1;
    next.failures += 1;
    next.resume = 'failed';
    next.error = (entry.data['error'] as TaskErrorInfo | undefined) ?? null;
  } else if (reason === 'later') {
    // The handler chose the time, and no attempt was burnt: what it waits for is in the error.
    next.postponements += 1;
    next.resume = interruptionIn(entry.data['resume']) ?? 'failed';
    next.error = (entry.data['error'] as TaskErrorInfo | undefined) ?? null;
  } else if (reason === 'shutdown') {
    next.resume = 'shutdown';
  } else {
    // By hand: a new life. What ended the last one is in its events, no longer in the task.
    next.life += 1;
    next.attempt = 1;
    next.failures = 0;
    next.error = null;
    next.result = undefined;
    next.postponements = 0;
    next.progress = undefined;
    // Whoever asks for a new life wants it to run, late as it is.
    next.expiresAt = null;
    next.deadLetteredAt = null;
    next.cancelRequest = null;
    next.startedAt = null;
    next.resume = null;
  }
}

const interruptionIn = (value: unknown): 'crash' | 'shutdown' | 'stale' | undefined =>
  value === 'crash' || value === 'shutdown' || value === 'stale' ? value : undefined;

function foldControl(state: TaskState, entry: FoldableEntry, home: string): TaskState | null {
  switch (entry.type) {
    case 'heartbeat':
      return state.status === 'running' && entry.fence === state.fence
        ? changed(state, { lastHeartbeatAt: entry.at, owner: entry.owner })
        : state;
    case 'cancel':
      // Ignores a request that is replayed after a retry by hand: until the new life starts, its fence equals that of the old run, so only
      // the status tells them apart.
      return state.status !== 'running' || entry.fence !== state.fence || state.cancelRequest !== null
        ? state
        : changed(state, { cancelRequest: { at: entry.at, ...cancelDataOf(entry.data) } });
    case 'pruned':
      return null;
    case 'dlq-removed':
      return changed(state, { deadLetteredAt: null, supersededBy: supersededByOf(entry.data) ?? state.supersededBy });
    case 'adopted':
      return changed(state, { home });
    default:
      return state; // gap: about the log, not about a task
  }
}

/** `d` of a `cancelled` entry that a request leads to, too. */
export function cancelDataOf({ reason }: EntryData): { readonly reason?: string } {
  // Of a log that an earlier release wrote, which took any text: a row shows what memory shows.
  return typeof reason === 'string' ? { reason: storableText(reason) } : {};
}

/** `d` of a `dlq-removed` entry says for which newer task's sake it was made, where that took over the key. */
export function supersededByOf({ supersededBy }: EntryData): string | undefined {
  return typeof supersededBy === 'string' ? supersededBy : undefined;
}

/** Unit: characters of JSON text; a row is written with it at each flush. */
const MAX_PROGRESS_CHARS = 4096;
const PAYLOAD_ALONE = '{"payload":';

function progressOf({ data, body }: FoldableEntry): string | undefined {
  // Live entries come with their text: it is cut out, not parsed and encoded again.
  const text = body !== undefined && body.startsWith(PAYLOAD_ALONE) ? body.slice(PAYLOAD_ALONE.length, -1) : textOf(data['payload']);
  return text === undefined || text.length > MAX_PROGRESS_CHARS ? undefined : text;
}

const numberOf = (value: unknown, otherwise: number): number => (typeof value === 'number' ? value : otherwise);
/** A body as JSON text. The projector keeps bodies; the overlay passes data without them and re-reads the log. */
const textOf = (value: unknown): string | undefined => (value === undefined ? undefined : JSON.stringify(value));
