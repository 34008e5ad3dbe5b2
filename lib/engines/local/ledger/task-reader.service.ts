import type { FactDraft } from '../../../contracts/fact-port.interface.js';
import type { TaskId } from '../../../contracts/ids.js';
import type { LogEntry } from '../../../contracts/log-entry.interface.js';
import type { StoredEntry, TaskHistory } from '../../../contracts/task-history.interface.js';
import type { TaskStore } from '../../../contracts/task-store.interface.js';
import { mayKnow, type Owner } from '../../../domain/owner.js';
import { scopedKey } from '../../../domain/task-key.js';
import { changed, type CreatedData, type TaskState } from '../../../domain/task-state.js';
import { StreamOverflowError } from '../../../errors/stream.errors.js';
import { RepositoryError } from '../../../errors/storage.errors.js';
import { EventLogService } from '../wal/event-log.service.js';
import { BatchedLookup } from '../../../primitives/batched-lookup.js';
import { InputReader } from './input-reader.js';
import { Overlay } from './overlay.js';
import type { TaskHead } from './task-head.js';

/** Ids or keys per statement. */
const MAX_BATCH = 256;
/** How often a read starts over because a flush or retention moved what it was reading. Each one is a race lost. */
const MAX_RACES = 10;
/** Tasks that had a key one after the other and are all retained. */
const MAX_SUCCESSORS = 10_000;

/**
 * What is known of tasks: the overlay first, then the database. "No such task" is said only after both were read.
 */
export class TaskReader implements TaskHistory {
  readonly inputs: InputReader;
  private readonly rows: BatchedLookup<TaskState>;
  private readonly keys: BatchedLookup<TaskState>;
  private readonly keyBases: BatchedLookup<number>;
  /** Tasks that later entries of the log speak of while their rows could not be read yet (start without a database). */
  private readonly unresolved = new Set<string>();
  private readonly loading = new Map<string, Promise<TaskHead | null>>();

  constructor(
    private readonly log: EventLogService,
    private readonly overlay: Overlay,
    private readonly store: TaskStore,
  ) {
    this.rows = new BatchedLookup((ids) => this.store.findByIds(ids), MAX_BATCH);
    this.inputs = new InputReader(log, overlay, (id) => this.rowIfReadable(id));
    this.keys = new BatchedLookup((scoped) => this.store.findByKeys(scoped), MAX_BATCH);
    this.keyBases = new BatchedLookup((scoped) => this.store.keyBases(scoped), MAX_BATCH);
  }

  isHome(task: TaskState): boolean {
    return task.home === this.log.logId;
  }

  chosenKeyOf(created: FactDraft): string | null {
    const { userId = null, key = null } = created.data as unknown as CreatedData;
    return key === null ? null : scopedKey(created.taskId, userId, key);
  }

  /**
   * The newest durable state with its bodies; null: no such task. @throws RepositoryError when it cannot be known.
   * @param owner who asks: left out, whoever may know everything.
   */
  async load(id: TaskId, bodies = true, owner?: Owner): Promise<TaskState | null> {
    if (!bodies) return this.peek(id, owner);
    for (let race = 0; race < MAX_RACES; race++) {
      const head = this.overlay.get(id);
      if (isForeign(head, owner)) return this.miss(id);
      if (head === undefined) {
        this.refuseUnresolved(id);
        const row = await this.rows.get(id);
        if (this.overlay.get(id) === undefined) return row === null || mayKnow(owner, row.userId) ? row : null;
        continue; // it came to life while the row was read
      }
      if (head.durable === null) return null;
      const loaded = await this.withBodies(head, head.durable);
      if (loaded !== null) return loaded;
    }
    throw keepsMoving(id);
  }

  /** The newest durable state, from memory where it is there; else as `load`. Bodies only by chance. */
  async peek(id: TaskId, owner?: Owner): Promise<TaskState | null> {
    const head = this.overlay.get(id);
    return head === undefined || isForeign(head, owner) ? this.load(id, true, owner) : head.durable;
  }

  /**
   * Memory knows the task, and whoever asks must not: so the database is asked all the same, as it is for a task that is not there. Else
   * the time an answer takes, or the answer itself while the database is away, would tell that the task exists.
   */
  private async miss(id: TaskId): Promise<null> {
    await this.rows.get(id);
    return null;
  }

  /** By a key that a caller chose; durable entries only. */
  async findByKey(scoped: string): Promise<TaskState | null> {
    const head = this.overlay.findByKey(scoped);
    if (head?.durable) return this.holderFrom(head.id);
    if (head?.keyBefore !== undefined) {
      // `head` is on its way to the disk: until it is there the key is that of the task before it, which the database may not know yet.
      const before = await this.holderFrom(head.keyBefore);
      if (before !== null) return before;
    }
    const row = await this.keys.get(scoped);
    return row === null ? null : this.holderFrom(row.id);
  }

  /**
   * A storage may still name a task that gave its key to a newer one: then that one has it, unless it was pruned since.
   * Bounded, as no chain of tasks is followed that somebody may have tied to a ring.
   */
  private async holderFrom(id: TaskId): Promise<TaskState | null> {
    let state = await this.load(id);
    for (let step = 0; state !== null && state.supersededBy !== null; step++) {
      if (step === MAX_SUCCESSORS) throw keepsMoving(id);
      state = await this.load(state.supersededBy as TaskId);
    }
    return state;
  }

  /** Where the next task of a free key begins to number its events for streams by key: earlier tasks of the key have the numbers before. */
  async keyBaseOf(scoped: string): Promise<number> {
    return Math.max(this.overlay.findByKey(scoped)?.nextKeyBase ?? 0, (await this.keyBases.get(scoped)) ?? 0);
  }

  /** The head of a task, brought into memory when it is not there. Null: no such task. */
  async resident(id: TaskId): Promise<TaskHead | null> {
    const head = this.overlay.get(id);
    if (head !== undefined) return head;
    let loading = this.loading.get(id);
    if (loading === undefined) {
      loading = this.adopt(id).finally(() => this.loading.delete(id));
      this.loading.set(id, loading);
    }
    return loading;
  }

  private async adopt(id: TaskId): Promise<TaskHead | null> {
    for (let race = 0; race < MAX_RACES; race++) {
      this.refuseUnresolved(id);
      const read = this.overlay.rowReads.begin(id);
      try {
        const row = await this.rows.get(id);
        const head = this.overlay.get(id);
        if (head !== undefined || row === null) return head ?? null;
        if (!read.isOvertaken) return this.overlay.adopt(row);
      } finally {
        read.end();
      }
    }
    throw keepsMoving(id);
  }

  async after(id: TaskId, afterSeq: number, limit: number): Promise<readonly StoredEntry[]> {
    const head = this.overlay.get(id);
    if (head !== undefined) {
      const lastSeq = head.durable?.lastSeq ?? 0;
      if (afterSeq >= lastSeq) return [];
      if (head.addressOf(afterSeq + 1) !== undefined) return this.readAddresses(head, afterSeq, Math.min(lastSeq, afterSeq + limit));
    } else {
      this.refuseUnresolved(id);
    }
    // Looked up before the database is asked: what memory lets go of meanwhile was there before.
    const firstInLog = head?.firstAddressAfter(afterSeq);
    const entries = await this.store.entriesAfter(id, afterSeq, limit);
    // What neither has, though there is more behind it, was lost in a repair: it is never passed over in silence, nor waited for.
    const first = entries[0]?.taskSeq ?? firstInLog;
    if (first !== undefined && first !== afterSeq + 1) throw new StreamOverflowError(afterSeq, first);
    return entries;
  }

  /** Marks tasks that cannot be known until the database was read, and unmarks them. */
  setUnresolved(id: string, unresolved: boolean): void {
    if (unresolved) this.unresolved.add(id);
    else this.unresolved.delete(id);
  }

  /** For questions about many tasks. @throws RepositoryError while rows are known to be older than the log. */
  requireResolved(): void {
    for (const id of this.unresolved) return this.refuseUnresolved(id);
  }

  /** Stored bodies for states that came without. Order kept; those that vanished meanwhile are left out. */
  async loadAll(ids: readonly TaskId[]): Promise<TaskState[]> {
    const loaded = await Promise.all(ids.map((id) => this.load(id)));
    return loaded.filter((state) => state !== null);
  }

  private async rowIfReadable(id: TaskId): Promise<TaskState | null> {
    return this.unresolved.has(id) ? null : this.rows.get(id).catch(() => null);
  }

  private refuseUnresolved(id: string): void {
    if (this.unresolved.has(id)) {
      throw new RepositoryError('UNAVAILABLE', 'The log knows this task by later entries only; its row is read when the database answers.');
    }
  }

  private async readAddresses(head: TaskHead, afterSeq: number, lastSeq: number): Promise<readonly StoredEntry[]> {
    const addresses = [];
    for (let seq = afterSeq + 1; seq <= lastSeq; seq++) {
      const address = head.addressOf(seq);
      if (address === undefined) break;
      addresses.push(address);
    }
    const entries: StoredEntry[] = [];
    for (const entry of await this.log.readMany(addresses)) {
      if (entry === null) break; // its segment went: the database has it, and the next question finds it there
      entries.push(storedEntryOf(entry));
    }
    return entries;
  }

  /** Null: the bodies moved to the database while they were read here. The log is asked first: it answers while the database is down. */
  private async withBodies(head: TaskHead, state: TaskState): Promise<TaskState | null> {
    const completed = state.status === 'completed';
    const resultAt = completed ? head.addressOf(state.lastSeq) : undefined;
    const created = head.createdAt === undefined ? null : await this.log.read(head.createdAt);
    const ended = resultAt === undefined ? null : await this.log.read(resultAt);
    if (created !== null && (ended !== null || !completed)) {
      return changed(state, { input: textOf(created.data['input']), result: textOf(ended?.data['result']) });
    }
    const row = await this.rows.get(head.id);
    const input = created === null ? row?.input : textOf(created.data['input']);
    if (input === undefined) return null;
    if (ended !== null || !completed) return changed(state, { input, result: textOf(ended?.data['result']) });
    return row?.status === 'completed' ? changed(state, { input, result: row.result }) : null;
  }
}

export const storedEntryOf = (entry: LogEntry): StoredEntry => ({
  taskSeq: entry.taskSeq,
  type: entry.type,
  at: entry.at,
  attempt: entry.attempt,
  fence: entry.fence,
  body: JSON.stringify(entry.data),
});

const keepsMoving = (id: TaskId): RepositoryError =>
  new RepositoryError('UNAVAILABLE', `Task ${id} could not be read: its entries keep moving.`);

const isForeign = (head: TaskHead | undefined, owner: Owner): boolean => head?.durable != null && !mayKnow(owner, head.durable.userId);

const textOf = (value: unknown): string | undefined => (value === undefined ? undefined : JSON.stringify(value));
