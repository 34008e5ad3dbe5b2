import type { CancelRequest, FactDraft, FactOutcome, FactsOutcome } from '../../../lib/contracts/fact-port.interface.js';
import type { TaskId } from '../../../lib/contracts/ids.js';
import type { ResidentFacts } from '../../../lib/engines/local/queue/resident-facts.interface.js';
import type { CommittedFact, StoredEntry, TaskHistory } from '../../../lib/contracts/task-history.interface.js';
import { isBulk as isBulkType, isControl } from '../../../lib/domain/entry-types.js';
import { fold } from '../../../lib/domain/fold.js';
import type { TaskState } from '../../../lib/domain/task-state.js';
import { EventLogError, EventLogFullError } from '../../../lib/errors/storage.errors.js';
import { Deferred } from '../../../lib/primitives/deferred.js';

interface Group {
  readonly drafts: readonly FactDraft[];
  readonly answer: Deferred<FactOutcome>;
}
interface Refusal {
  readonly type: string;
  left: number;
  readonly error: Error;
}
const ENDS_A_RUN = new Set(['complete', 'error', 'retry', 'recovered']);
const FULL_STATES = { none: [], bulk: ['bulk'], all: ['bulk', 'lifecycle'] } as const;

/**
 * A fact port in memory with the rules of the real one: checks at call time against the pending fold, durability later (at once by
 * default, by `sync()` when `isManual`), refusals of single types, a full log, a failed log.
 */
export class FactPortDouble implements ResidentFacts {
  isManual = false;
  /** Refusals that fired. */
  refused = 0;
  /** The same without heartbeats, which nobody makes again. */
  refusedOfRuns = 0;
  readonly log: (StoredEntry & { readonly taskId: TaskId })[] = [];
  readonly holds = new Map<TaskId, number>();
  /** `load` rejects with these, one each. */
  readonly loadErrors: Error[] = [];
  private readonly durable = new Map<TaskId, TaskState>();
  private readonly newest = new Map<TaskId, TaskState>();
  private queue: Group[] = [];
  private readonly refusals: Refusal[] = [];
  private full: 'none' | 'bulk' | 'all' = 'none';
  private failure: EventLogError | undefined;
  private readonly listeners: ((facts: readonly CommittedFact[]) => void)[] = [];
  private readonly waiting: { kind: 'bulk' | 'lifecycle'; deferred: Deferred }[] = [];

  constructor(private readonly now: () => number) {}

  async append(drafts: readonly FactDraft[]): Promise<FactOutcome> {
    if (this.failure !== undefined) throw this.failure;
    const id = drafts[0]!.taskId;
    let next = this.newest.get(id) ?? this.durable.get(id) ?? null;
    for (const draft of drafts) {
      if (!admits(next, draft)) return { kind: 'stale', task: this.durable.get(id) ?? null };
      next = this.next(next, draft);
    }
    const isBulk = drafts.some((draft) => isBulkType(draft.type));
    if (this.full === 'all' || (this.full === 'bulk' && isBulk)) {
      this.refused += 1;
      if (drafts[0]!.type !== 'heartbeat') this.refusedOfRuns += 1;
      throw new EventLogFullError('full');
    }
    this.newest.set(id, next!);
    const group = { drafts, answer: new Deferred<FactOutcome>() };
    this.queue.push(group);
    if (!this.isManual) queueMicrotask(() => this.sync());
    return group.answer.promise;
  }

  async appendAll(parts: readonly (readonly FactDraft[])[]): Promise<FactsOutcome> {
    const outcomes = await Promise.all(parts.map((drafts) => this.append(drafts)));
    return { kind: 'applied', tasks: outcomes.map(({ task }) => task!) };
  }

  /** One frame: everything queued becomes durable, or is refused. */
  sync(): void {
    const groups = this.queue;
    this.queue = [];
    const refusedTasks = new Map<TaskId, Error>();
    for (const { drafts, answer } of groups) {
      const id = drafts[0]!.taskId;
      const refusal = refusedTasks.get(id) ?? this.refusalOf(drafts);
      if (refusal === undefined) answer.resolve(this.commit(drafts));
      else {
        refusedTasks.set(id, refusal);
        answer.reject(refusal);
      }
    }
    for (const id of refusedTasks.keys()) this.newest.delete(id);
  }

  onCommitted(listener: (facts: readonly CommittedFact[]) => void): void {
    this.listeners.push(listener);
  }

  private commit(drafts: readonly FactDraft[], isTold = true): FactOutcome {
    const id = drafts[0]!.taskId;
    let seq: number | undefined;
    for (const draft of drafts) {
      const before = this.durable.get(id) ?? null;
      const task = this.next(before, draft)!;
      this.durable.set(id, task);
      seq = isControl(draft.type) ? undefined : task.lastSeq;
      const body = draft.body ?? (draft.data === undefined ? '' : JSON.stringify(draft.data));
      const entry = { taskSeq: seq, type: draft.type, at: this.now(), attempt: before?.attempt ?? 1, fence: task.fence, body };
      this.log.push({ taskId: id, ...entry });
      if (isTold) for (const listener of this.listeners) listener([{ task, entry }]);
    }
    return { kind: 'applied', seq, at: this.now(), task: this.durable.get(id)! };
  }

  private next(state: TaskState | null, draft: FactDraft): TaskState | null {
    const fence = (state?.fence ?? 0) + (draft.type === 'start' ? 1 : 0);
    const data = draft.data ?? (draft.body === undefined || draft.body === '' ? {} : (JSON.parse(draft.body) as Record<string, unknown>));
    const taskSeq = isControl(draft.type) ? undefined : (state?.lastSeq ?? 0) + 1;
    return fold(state, { type: draft.type, taskId: draft.taskId, taskSeq, at: this.now(), fence, owner: 'test', data }, 'home');
  }

  private refusalOf(drafts: readonly FactDraft[]): Error | undefined {
    const refusal = this.refusals.find(({ type, left }) => left > 0 && drafts.some((draft) => draft.type === type));
    if (refusal === undefined) return undefined;
    refusal.left -= 1;
    this.refused += 1;
    return refusal.error;
  }

  /** The next frames that hold an entry of this type are refused. */
  refuse(type: string, times = 1, error: Error = new EventLogFullError('no room')): void {
    this.refusals.push({ type, left: times, error });
  }

  setFull(full: 'none' | 'bulk' | 'all'): void {
    this.full = full;
    const closed: readonly string[] = FULL_STATES[full];
    for (const waiter of this.waiting.splice(0)) {
      if (closed.includes(waiter.kind)) this.waiting.push(waiter);
      else waiter.deferred.resolve();
    }
  }

  fail(): void {
    this.failure = new EventLogError('failed', 'none', 'failed');
    for (const { answer } of this.queue.splice(0)) answer.reject(new EventLogError('failed', 'unknown', 'failed'));
    for (const { deferred } of this.waiting.splice(0)) deferred.reject(this.failure);
  }

  canWrite(): boolean {
    return true;
  }

  cancelRequestOf(id: TaskId): CancelRequest | null | undefined {
    if (this.isShared) return undefined;
    return (this.newest.get(id) ?? this.durable.get(id))?.cancelRequest;
  }

  /** From now on another writer shares these tasks: what it makes is seen in answers alone, as with a database between nodes. */
  isShared = false;

  /** Another node writes to a task: durable at once, and unknown here until an answer or the change feed tells. */
  writeElsewhere(draft: FactDraft, isTold = false): void {
    this.commit([draft], isTold);
    this.newest.delete(draft.taskId);
  }

  async load(id: TaskId): Promise<TaskState | null> {
    const error = this.loadErrors.shift();
    if (error !== undefined) throw error;
    return this.durable.get(id) ?? null;
  }

  async hold(ids: readonly TaskId[]): Promise<TaskState[]> {
    if (this.loadErrors.length > 0) return [];
    const found = ids.flatMap((id) => this.durable.get(id) ?? []);
    for (const { id } of found) this.retain(id);
    return found;
  }

  /** There is no log to read. */
  createdOf(): undefined {
    return undefined;
  }

  retain(id: TaskId): void {
    this.holds.set(id, (this.holds.get(id) ?? 0) + 1);
  }
  release(id: TaskId): void {
    this.holds.set(id, (this.holds.get(id) ?? 0) - 1);
  }

  whenAccepting(kind: 'bulk' | 'lifecycle'): Promise<void> {
    if (this.failure !== undefined) return Promise.reject(this.failure);
    if (!(FULL_STATES[this.full] as readonly string[]).includes(kind)) return Promise.resolve();
    const deferred = new Deferred();
    this.waiting.push({ kind, deferred });
    return deferred.promise;
  }

  state(id: TaskId): TaskState {
    return this.durable.get(id)!;
  }
  types(id: TaskId): string[] {
    return this.log.filter((entry) => entry.taskId === id).map((entry) => entry.type);
  }
  body(id: TaskId, type: string): unknown {
    const entry = this.log.findLast((one) => one.taskId === id && one.type === type);
    return entry === undefined || entry.body === '' ? undefined : JSON.parse(entry.body);
  }
  /** What was made, as a history to read. */
  readonly history: TaskHistory = {
    after: async (id, afterSeq, limit) =>
      this.log.filter((entry) => entry.taskId === id && (entry.taskSeq ?? 0) > afterSeq).slice(0, limit),
    load: (id) => this.load(id),
  };
}

function admits(state: TaskState | null, draft: FactDraft): boolean {
  if (draft.type === 'created') return state === null;
  if (state === null) return false;
  const { expect } = draft;
  if (expect?.fence !== undefined && expect.fence !== state.fence) return false;
  if (expect?.status !== undefined && !expect.status.includes(state.status)) return false;
  // The rule of every engine: a run that was asked to stop ends by `cancelled` alone.
  if (state.status === 'running' && state.cancelRequest !== null && ENDS_A_RUN.has(draft.type)) return false;
  return draft.type !== 'cancel' || state.status === 'running';
}
