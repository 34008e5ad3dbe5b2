import type { LogEntry } from '../../../contracts/log-entry.interface.js';
import { isControl } from '../../../domain/entry-types.js';
import { fold } from '../../../domain/fold.js';
import { keyHash, scopedKey } from '../../../domain/task-key.js';
import { isEnded, nextKeyBase, type TaskState } from '../../../domain/task-state.js';
import { reasonOf } from '../../../repository/database-errors.js';
import type { RetiredKey } from './retired-keys.js';

/** Who has a key. */
export interface KeyHolder {
  readonly id: string;
  readonly home: string;
  readonly ended: boolean;
  readonly createdAt: number;
}

/** What the database holds of the tasks and keys of a batch. */
export interface StoredRows {
  /** Rows of the batch's tasks, without bodies, with the hash of the key they hold. */
  readonly tasks: ReadonlyMap<string, { readonly state: TaskState; readonly keyHash: string | null }>;
  /** Who holds the keys that the batch's new tasks ask for: hash to task. */
  readonly keyHolders: ReadonlyMap<string, KeyHolder>;
}

/** A batch, folded: what is to be written, each row once. */
export interface Projection {
  readonly tasks: readonly { readonly state: TaskState; readonly keyHash: string | null }[];
  readonly events: readonly LogEntry[];
  /** Tasks whose row and events go. */
  readonly deleted: readonly string[];
  /** Keys whose task was pruned, while it had them. */
  readonly retired: readonly RetiredKey[];
  /** Stored tasks that give their key up. */
  readonly keyLosers: readonly string[];
  /** New tasks that did not get the key they ask for, as a task of another home holds it, or a live one. */
  readonly keyConflicts: readonly { readonly taskId: string; readonly holder: string }[];
  /** Tasks whose entries cannot be folded, and why: set aside and project again. */
  readonly poisoned: ReadonlyMap<string, string>;
}

/** One task on its way through a batch. */
interface Slot {
  readonly stored: boolean;
  state: TaskState | null;
  keyHash: string | null;
  changed: boolean;
  pruned: boolean;
  events: LogEntry[];
}

/** Folds entries, in log order, onto rows. Pure; deterministic in entries and rows, so that a repetition writes the same. */
export class BatchProjection {
  private readonly slots = new Map<string, Slot>();
  private readonly keys = new Map<string, KeyHolder>();
  private readonly retired: RetiredKey[] = [];
  private readonly keyLosers = new Set<string>();
  private readonly keyConflicts: { taskId: string; holder: string }[] = [];
  private readonly poisoned = new Map<string, string>();

  constructor(
    private readonly home: string,
    private readonly stored: StoredRows,
  ) {}

  project(entries: readonly LogEntry[]): Projection {
    for (const entry of entries) {
      if (entry.taskId === '' || this.poisoned.has(entry.taskId)) continue; // `gap` is about the log
      try {
        this.take(entry);
      } catch (error) {
        this.poisoned.set(entry.taskId, reasonOf(error));
      }
    }
    return this.result();
  }

  private take(entry: LogEntry): void {
    const slot = this.slotOf(entry.taskId);
    const before = slot.state;
    const after = fold(before, entry, this.home);
    if (after === before) return;
    slot.state = after;
    slot.changed = true;
    if (after === null) {
      slot.pruned = true;
      slot.events = [];
      if (slot.keyHash !== null) this.retire(slot.keyHash, before!, entry.at);
      slot.keyHash = null;
      return;
    }
    if (!isControl(entry.type)) slot.events.push(entry);
    if (before === null && after.key !== null) this.claimKey(slot, after);
  }

  private retire(hash: string, task: TaskState, at: number): void {
    this.keys.set(hash, { id: '', home: this.home, ended: true, createdAt: 0 });
    this.retired.push({ keyHash: hash, base: nextKeyBase(task), at });
  }

  private slotOf(taskId: string): Slot {
    let slot = this.slots.get(taskId);
    if (slot === undefined) {
      const row = this.stored.tasks.get(taskId);
      const keyHashNow = this.keyLosers.has(taskId) ? null : (row?.keyHash ?? null);
      slot = { stored: row !== undefined, state: row?.state ?? null, keyHash: keyHashNow, changed: false, pruned: false, events: [] };
      this.slots.set(taskId, slot);
    }
    return slot;
  }

  /** An older task of this home that ended gives its key up; any other keeps it, and the entry is applied all the same. */
  private claimKey(slot: Slot, task: TaskState): void {
    const hash = keyHash(scopedKey(task.id, task.userId, task.key));
    const known = this.keys.get(hash) ?? this.stored.keyHolders.get(hash);
    if (known !== undefined && known.id !== '' && known.id !== task.id) {
      const holder = this.slots.get(known.id);
      const ended = holder === undefined ? known.ended : holder.state === null || isEnded(holder.state.status);
      if (known.home !== this.home || !ended || known.createdAt > task.createdAt) {
        this.keyConflicts.push({ taskId: task.id, holder: known.id });
        return;
      }
      // Taken away in the database first: the index looks at each row as it is written.
      if (holder === undefined || holder.stored) this.keyLosers.add(known.id);
      if (holder !== undefined) holder.keyHash = null;
    }
    slot.keyHash = hash;
    this.keys.set(hash, { id: task.id, home: this.home, ended: false, createdAt: task.createdAt });
  }

  private result(): Projection {
    const tasks: { state: TaskState; keyHash: string | null }[] = [];
    const events: LogEntry[] = [];
    const deleted: string[] = [];
    for (const [taskId, slot] of this.slots) {
      if (!slot.changed) continue;
      if (slot.pruned && slot.stored) deleted.push(taskId);
      if (slot.state === null) continue;
      tasks.push({ state: slot.state, keyHash: slot.keyHash });
      for (const event of slot.events) events.push(event);
    }
    return {
      tasks,
      events,
      deleted,
      retired: this.retired,
      keyLosers: [...this.keyLosers],
      keyConflicts: this.keyConflicts,
      poisoned: this.poisoned,
    };
  }
}
