import type { TaskId } from '../../../contracts/ids.js';
import { copyOf, type TaskState } from '../../../domain/task-state.js';
import { scopedKey } from '../../../domain/task-key.js';
import { RowReads } from './row-reads.js';
import { TaskHead } from './task-head.js';

/** Rough heap cost, for the statistics: a head with its fold, and one address. */
const HEAD_BYTES = 700;
const ADDRESS_BYTES = 32;

/**
 * The heads of all tasks that memory must know better than the database. A head leaves when the database has its last entry
 * and nothing holds it.
 */
export class Overlay {
  /** Reads of rows that `adopt` is to be called with. */
  readonly rowReads = new RowReads();
  private readonly heads = new Map<string, TaskHead>();
  /** Scoped key to id, of heads whose key a caller chose. */
  private readonly keys = new Map<string, TaskId>();
  /** Heads in the order in which their entries became durable, frame by frame. */
  private frames: { lastSeq: number; heads: TaskHead[] }[] = [];
  private firstFrame = 0;
  private addresses = 0;
  private appliedSeq = 0;
  /** The head that was found or made last: the next question is often about it, and a large map is slow to ask. Always one of `heads`. */
  private recent: TaskHead | undefined;

  get(id: string): TaskHead | undefined {
    if (this.recent?.id === id) return this.recent;
    const head = this.heads.get(id);
    if (head !== undefined) this.recent = head;
    return head;
  }

  findByKey(scoped: string): TaskHead | undefined {
    const id = this.keys.get(scoped);
    return id === undefined ? undefined : this.heads.get(id);
  }

  /** A head for a task that is about to be created. */
  begin(id: TaskId, scoped: string | null): TaskHead {
    const head = new TaskHead(id, null, scoped);
    this.keep(head);
    if (scoped !== null) {
      head.keyBefore = this.keys.get(scoped);
      this.keys.set(scoped, id);
    }
    return head;
  }

  /** A head for a task that the database knows. The row must not have been overtaken: see `rowReads`. */
  adopt(state: TaskState): TaskHead {
    const scoped = state.key === null || state.supersededBy !== null ? null : scopedKey(state.id, state.userId, state.key);
    const head = new TaskHead(state.id, withoutBodies(state), scoped);
    this.keep(head);
    if (scoped !== null && !this.isKeyHeld(scoped, state)) this.keys.set(scoped, state.id);
    return head;
  }

  private keep(head: TaskHead): void {
    this.heads.set(head.id, head);
    this.recent = head;
  }

  /**
   * A row may be older than what memory knows: the task that had the key before, whose `pruned` is not flushed yet. It must not take
   * the key from the one that was created since; nor from that one when it is pruned, as its head knows where the next one begins to number.
   */
  private isKeyHeld(scoped: string, row: TaskState): boolean {
    const holder = this.findByKey(scoped);
    if (holder === undefined) return false;
    const isPruned = holder.durable === null && holder.lastLogSeq > 0;
    return !isPruned || row.keyBase < holder.nextKeyBase;
  }

  /** The heads whose entries one frame made durable. What a start without a database reads late may be in the database by then. */
  committed(lastSeq: number, heads: TaskHead[], addresses: number): void {
    this.addresses += addresses;
    if (lastSeq <= this.appliedSeq) this.letGo(heads, lastSeq);
    else this.frames.push({ lastSeq, heads });
  }

  /** The database has every entry up to `seq`. */
  applied(seq: number): void {
    if (seq <= this.appliedSeq) return;
    this.appliedSeq = seq;
    while (this.firstFrame < this.frames.length && this.frames[this.firstFrame]!.lastSeq <= seq) {
      this.letGo(this.frames[this.firstFrame]!.heads, seq);
      this.firstFrame++;
    }
    if (this.firstFrame > 1024 || this.firstFrame === this.frames.length) {
      this.frames = this.frames.slice(this.firstFrame);
      this.firstFrame = 0;
    }
  }

  private letGo(heads: readonly TaskHead[], seq: number): void {
    for (const head of heads) {
      const before = head.unflushedEntries;
      head.applied(seq);
      this.addresses -= before - head.unflushedEntries;
      this.dropIfIdle(head);
    }
  }

  /** Forgets a head that nobody needs. Safe to call at any time. */
  dropIfIdle(head: TaskHead): void {
    if (head.holds > 0 || head.inFlight > 0 || head.lastLogSeq > this.appliedSeq) return;
    if (this.heads.get(head.id) !== head) return;
    this.heads.delete(head.id);
    this.rowReads.left(head.id);
    if (this.recent === head) this.recent = undefined;
    this.giveUpKey(head);
  }

  private giveUpKey({ id, scopedKey: scoped, durable, lastLogSeq, keyBefore }: TaskHead): void {
    if (scoped === null || this.keys.get(scoped) !== id) return;
    const isUnborn = durable === null && lastLogSeq === 0;
    // Its `created` was refused: the ended task whose key it was to take over has it still.
    if (isUnborn && keyBefore !== undefined && this.heads.has(keyBefore)) this.keys.set(scoped, keyBefore);
    else this.keys.delete(scoped);
  }

  values(): IterableIterator<TaskHead> {
    return this.heads.values();
  }

  /** How far the database is known to be. */
  get flushedSeq(): number {
    return this.appliedSeq;
  }

  get bytes(): number {
    return this.heads.size * HEAD_BYTES + this.addresses * ADDRESS_BYTES;
  }
}

export function withoutBodies(state: TaskState): TaskState {
  if (state.input === undefined && state.result === undefined) return state;
  const bare = copyOf(state);
  bare.input = undefined;
  bare.result = undefined;
  return bare;
}
