import { type TaskId, taskId } from '../../../lib/contracts/ids.js';
import type { ChangeFeed, TaskWatch } from '../../../lib/contracts/change-feed.interface.js';
import type { CommittedFact, StoredEntry, TaskHistory } from '../../../lib/contracts/task-history.interface.js';
import type { EntryType } from '../../../lib/contracts/task-event.interface.js';
import { isControl } from '../../../lib/domain/entry-types.js';
import { fold } from '../../../lib/domain/fold.js';
import type { TaskState } from '../../../lib/domain/task-state.js';
import { EventLogError, RepositoryError } from '../../../lib/errors/storage.errors.js';
import { StreamOverflowError } from '../../../lib/errors/stream.errors.js';

type Draft = readonly [type: EntryType, data?: Record<string, unknown>];

interface Kept {
  state: TaskState | null;
  readonly entries: StoredEntry[];
}

/** Committed facts and their history in memory, with the faults that the real ones have. */
export class FakeFacts implements ChangeFeed, TaskHistory {
  /** Reads reject as with a database that does not answer. */
  isDown = false;
  /** So many further reads of entries find nothing, as when a segment vanished. */
  misses = 0;
  /** Readable entries start here. */
  firstSeq = 1;
  /** Only so many entries per read. */
  maxPage = Number.POSITIVE_INFINITY;
  /** Tasks are another home's: facts are committed there, only rows are seen. */
  isElsewhere = false;
  /** How bodies are written. */
  encode: (data: Record<string, unknown>) => string = JSON.stringify;
  /** Called inside each read, before it is answered. */
  onRead: ((afterSeq: number) => void) | undefined;
  /** Called inside each look-up, after what it will answer was fixed. */
  onLoad: (() => void) | undefined;
  /** Frames are kept from the listeners until `tell`. */
  isHeldBack = false;
  /** `after` of every read that was made, and how many found nothing or failed. */
  readonly reads: number[] = [];
  loads = 0;
  faults = 0;
  protected readonly tasks = new Map<TaskId, Kept>();
  private readonly listeners: ((facts: readonly CommittedFact[]) => void)[] = [];
  private readonly heldBack: (readonly CommittedFact[])[] = [];
  private readonly halts: ((reason: Error) => void)[] = [];
  private at = 1_700_000_000_000;
  /** Where time comes from; left out, each frame is 1 ms later. */
  now: (() => number) | undefined;

  onCommitted(listener: (facts: readonly CommittedFact[]) => void): void {
    this.listeners.push(listener);
  }

  onMade(listener: (facts: readonly CommittedFact[]) => void): void {
    this.listeners.push(listener);
  }
  onCancelRequested(): void {}
  onRunsLost(): void {}
  onHalted(listener: (reason: Error) => void): void {
    this.halts.push(listener);
  }
  halt(): void {
    for (const listener of this.halts) listener(new EventLogError('failed', 'none', 'The event log failed.'));
  }

  /** A task with its `created` event. */
  create(id = 'task-1', data: Record<string, unknown> = {}): TaskState {
    return this.commit(id, ['created', { name: 'import', input: { secret: 'input' }, maxAttempts: 3, timeoutMs: 1000, ...data }]);
  }

  /** One frame of entries of one task. Gives the task as of the last one. */
  commit(id: string, ...drafts: readonly Draft[]): TaskState {
    return this.commitFrame(drafts.map((draft) => [id, ...draft] as const));
  }

  /** One frame of entries, of any tasks. */
  commitFrame(drafts: readonly (readonly [id: string, type: EntryType, data?: Record<string, unknown>])[]): TaskState {
    this.at = this.now?.() ?? this.at + 1;
    const facts = drafts.map(([id, type, data]) => this.make(taskId(id), type, data));
    if (!this.isElsewhere) this.heldBack.push(facts);
    if (!this.isHeldBack) this.tell();
    return facts.at(-1)!.task;
  }

  tell(): void {
    for (const facts of this.heldBack.splice(0)) for (const listener of this.listeners) listener(facts);
  }

  /** `count` progress events, one frame each. */
  progress(id: string, count: number, padding = ''): void {
    for (let index = 0; index < count; index += 1) this.commit(id, ['progress', { payload: { index, padding } }]);
  }

  state(id: string): TaskState {
    return this.tasks.get(taskId(id))!.state!;
  }

  entries(id: string): readonly StoredEntry[] {
    return this.tasks.get(taskId(id))!.entries;
  }

  async after(id: TaskId, afterSeq: number, limit: number): Promise<readonly StoredEntry[]> {
    this.reads.push(afterSeq);
    this.onRead?.(afterSeq);
    await Promise.resolve();
    this.assertUp();
    if (afterSeq + 1 < this.firstSeq) throw new StreamOverflowError(afterSeq, this.firstSeq);
    if (this.misses > 0) {
      this.misses -= 1;
      this.faults += 1;
      return [];
    }
    return this.tasks.get(id)?.state == null ? [] : this.tasks.get(id)!.entries.slice(afterSeq, afterSeq + Math.min(limit, this.maxPage));
  }

  async load(id: TaskId): Promise<TaskState | null> {
    this.loads += 1;
    const state = this.tasks.get(id)?.state ?? null;
    this.onLoad?.();
    await Promise.resolve();
    this.assertUp();
    return state === null ? null : { ...state, input: undefined, result: undefined };
  }

  /** How tasks that are elsewhere are followed. */
  follow: (task: TaskState, tell: (facts: readonly CommittedFact[]) => void) => TaskWatch = () => ({
    isExact: false,
    close: () => undefined,
  });

  watch(task: TaskState): TaskWatch {
    if (!this.isElsewhere) return { isExact: true, close: () => undefined };
    return this.follow(task, (facts) => {
      for (const listener of this.listeners) listener(facts);
    });
  }

  protected assertUp(): void {
    if (!this.isDown) return;
    this.faults += 1;
    throw new RepositoryError('UNAVAILABLE', 'The database does not answer.');
  }

  private make(id: TaskId, type: EntryType, data: Record<string, unknown> = {}): CommittedFact {
    const kept = this.tasks.get(id) ?? { state: null, entries: [] };
    this.tasks.set(id, kept);
    const taskSeq = isControl(type) ? undefined : kept.entries.length + 1;
    const fence = (kept.state?.fence ?? 0) + (type === 'start' ? 1 : 0);
    const body = Object.keys(data).length === 0 ? '' : this.encode(data);
    const entry: StoredEntry = { taskSeq, type, at: this.at, attempt: kept.state?.attempt ?? 1, fence, body };
    const before = kept.state;
    kept.state = fold(before, { type, taskId: id, taskSeq, at: this.at, fence, owner: 'owner', data }, 'home');
    if (taskSeq !== undefined) kept.entries.push(entry);
    return { task: (kept.state ?? before)!, entry };
  }
}
