import type { TaskId } from '../../../contracts/ids.js';
import type { EntryAddress } from '../../../contracts/event-log.interface.js';
import { nextKeyBase, type TaskState } from '../../../domain/task-state.js';
import { type PendingHead, pendingOf } from '../../../domain/transition.js';

/** Numbers kept per unflushed stream entry after `created`: its log sequence and its address. */
const STRIDE = 4;
const SHORT = 8 * STRIDE;
const NO_ADDRESSES = Object.freeze<number[]>([]) as number[];

/**
 * What memory holds of a task that has a run, an entry on its way, or entries that the database does not have: the durable fold
 * without bodies, the pending fold, and where the unflushed entries lie. Everything else is re-read.
 */
export class TaskHead {
  /** Null before `created` is durable, and after `pruned` is: then the task is gone, whatever the database still has. */
  durable: TaskState | null;
  /** Undefined while nothing is on its way; null when the task will be gone. */
  pending: PendingHead | null | undefined;
  /** Groups that were appended and not answered yet. */
  inFlight = 0;
  /** Log sequence of the last durable entry; 0: none since this head was loaded. */
  lastLogSeq = 0;
  /** Runs and callers that keep the head. */
  holds = 0;
  /** After `pruned`: where the next task of its key goes on to number. */
  nextKeyBase = 0;
  /** Who had its key before; given back when this task comes to nothing. */
  keyBefore: TaskId | undefined;
  /** Log sequence of `created` while the database lacks it, else 0. */
  private createdLogSeq = 0;
  /** Where `created` lies: members, not an array, as most tasks that wait have no other entry. Length 0: not known. */
  private createdSegment = 0;
  private createdOffset = 0;
  private createdLength = 0;
  /** Of the other entries: task sequence of the first address that is kept. */
  private firstSeq = 0;
  private start = 0;
  private addresses: number[] = NO_ADDRESSES;
  private settledWaiters: (() => void)[] | undefined;

  constructor(
    readonly id: TaskId,
    durable: TaskState | null,
    readonly scopedKey: string | null,
  ) {
    this.durable = durable;
  }

  /** The fold to check against. Null: no such task (yet). */
  newest(): PendingHead | null {
    if (this.pending !== undefined) return this.pending;
    return this.durable === null ? null : pendingOf(this.durable);
  }

  remember(taskSeq: number, logSeq: number, segment: number, offset: number, length: number): void {
    if (taskSeq === 1) {
      this.createdLogSeq = logSeq;
      this.createdSegment = segment;
      this.createdOffset = offset;
      this.createdLength = length;
      return;
    }
    if (this.start === this.addresses.length) {
      this.firstSeq = taskSeq;
      this.start = 0;
      this.addresses = NO_ADDRESSES;
    }
    // Entries that a repair lost: positions without an address, so that those behind them are where they are looked for.
    for (let lost = this.firstSeq + (this.addresses.length - this.start) / STRIDE; lost < taskSeq; lost++) this.keep(logSeq, 0, 0, 0);
    this.keep(logSeq, segment, offset, length);
  }

  private keep(logSeq: number, segment: number, offset: number, length: number): void {
    // Most tasks have a handful of entries: an array of just their size, where `push` or a spread would make room for twenty numbers at once.
    if (this.addresses.length === 0) this.addresses = [logSeq, segment, offset, length];
    else if (this.addresses.length < SHORT) this.addresses = this.addresses.concat([logSeq, segment, offset, length]);
    else this.addresses.push(logSeq, segment, offset, length);
  }

  /** Where the input lies, also after it was flushed: while its segment is kept, reading it there asks nothing of the database. */
  get createdAt(): EntryAddress | undefined {
    if (this.createdLength === 0) return undefined;
    return { segment: this.createdSegment, offset: this.createdOffset, length: this.createdLength };
  }

  /** Where the entry lies in the log; undefined: the database has it, or a repair lost it. */
  addressOf(taskSeq: number): EntryAddress | undefined {
    if (taskSeq === 1) return this.createdLogSeq === 0 ? undefined : this.createdAt;
    const at = this.start + (taskSeq - this.firstSeq) * STRIDE;
    if (taskSeq < this.firstSeq || at >= this.addresses.length || this.addresses[at + 3] === 0) return undefined;
    return { segment: this.addresses[at + 1]!, offset: this.addresses[at + 2]!, length: this.addresses[at + 3]! };
  }

  /** The first sequence after `taskSeq` that has an address, if there is one. */
  firstAddressAfter(taskSeq: number): number | undefined {
    const end = this.firstSeq + (this.addresses.length - this.start) / STRIDE;
    for (let seq = Math.max(taskSeq + 1, this.firstSeq); seq < end; seq++) if (this.addressOf(seq) !== undefined) return seq;
    return undefined;
  }

  /** Lets go of what the database has. */
  applied(logSeq: number): void {
    if (this.createdLogSeq <= logSeq) this.createdLogSeq = 0;
    while (this.start < this.addresses.length && this.addresses[this.start]! <= logSeq) {
      this.start += STRIDE;
      this.firstSeq++;
    }
    if (this.start === this.addresses.length) {
      this.addresses = NO_ADDRESSES;
      this.start = 0;
    } else if (this.start > 64 * STRIDE && this.start * 2 > this.addresses.length) {
      this.addresses = this.addresses.slice(this.start);
      this.start = 0;
    }
  }

  /** What this entry makes of the task; null: it is gone, and its numbers are kept for the next task of its key. */
  become(after: TaskState | null, logSeq: number): void {
    if (after === null && this.durable !== null) this.nextKeyBase = nextKeyBase(this.durable);
    this.durable = after;
    this.lastLogSeq = logSeq;
  }

  get unflushedEntries(): number {
    return (this.addresses.length - this.start) / STRIDE + (this.createdLogSeq === 0 ? 0 : 1);
  }

  /** Calls back when no entry of this task is on its way. */
  whenSettled(callback: () => void): void {
    (this.settledWaiters ??= []).push(callback);
  }

  settled(): void {
    this.pending = undefined;
    const waiters = this.settledWaiters;
    this.settledWaiters = undefined;
    if (waiters !== undefined) for (const waiter of waiters) waiter();
  }
}
