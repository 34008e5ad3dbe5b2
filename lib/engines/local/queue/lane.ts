import { IndexedHeap } from '../../../primitives/heap.js';
import type { Gate, Linked, LinkedList } from './lane-gate.js';
import { NIL, Place, type QueueColumns } from './queue-columns.js';

const MAX_RUNS = 8;

/** Bits of `Lane.kind`. */
export const RECOVERING = 1;
export const SUSPECT = 2;

/** A user's lanes that have tasks; `userId` null stands for all tasks without a user. */
export interface LaneUser {
  readonly userId: string | null;
  readonly gate: Gate<Lane>;
  lanes: Lane[];
}

export interface LaneHandler {
  readonly name: string;
  readonly gate: Gate<Lane>;
  isDefined: boolean;
  /** Tasks that could run, were the handler defined and a slot free. */
  ready: number;
  lanes: number;
}

/**
 * What waits for one handler for one user, in order: lower priority first, then lower order.
 * Mostly tasks come in that order already, or as a few streams each in order (live submits beside pages of the database, two or
 * three priorities): so a lane is a few sorted runs, and a heap for what fits none of them. Joining a run, leaving it from the
 * middle and taking the first are O(1) however long it is.
 */
export class Lane implements Linked<Lane> {
  /** Runnable tasks. */
  ready = 0;
  /** Of the runnable tasks without a user, those that no submit asked for a place for. */
  unasked = 0;
  /** Runnable tasks and those whose time has not come. */
  total = 0;
  /** The slot that comes out next, or NIL. */
  head = NIL;
  /** The list it stands in: the ring, or the waiting lanes of a gate. */
  list: LinkedList<Lane> | null = null;
  before: Lane | null = null;
  after: Lane | null = null;

  // Literals of one: most lanes have one run, and an array that grew by push holds room for 17.
  private readonly heads: number[] = [NIL];
  private readonly tails: number[] = [NIL];
  private overflow: IndexedHeap | null = null;

  constructor(
    readonly id: number,
    readonly user: LaneUser,
    readonly handler: LaneHandler,
    /** RECOVERING and SUSPECT tasks have lanes of their own: they wait for more, and must not hold up the others. */
    readonly kind: number,
    /** Every one of them must be open for a task of this lane to be taken. */
    readonly gates: readonly Gate<Lane>[],
    private readonly columns: QueueColumns,
  ) {}

  push(slot: number): void {
    this.ready += 1;
    const run = this.runFor(slot);
    if (run === NIL) this.pushOverflow(slot);
    else this.append(run, slot);
    if (this.head === NIL || this.columns.isBefore(slot, this.head)) this.head = slot;
  }

  remove(slot: number): void {
    this.ready -= 1;
    const place = this.columns.place(slot);
    if (place === Place.overflow) this.overflow?.removeAt(this.columns.previous(slot));
    else this.unlink(place - Place.firstRun, slot);
    if (slot === this.head) this.head = this.findHead();
  }

  /** The next slots, roughly in order: exact within each run. */
  *upcoming(): Generator<number> {
    if (this.head === NIL) return;
    yield this.head;
    for (const head of this.heads) {
      for (let slot = head; slot !== NIL; slot = this.columns.next(slot)) if (slot !== this.head) yield slot;
    }
  }

  /** Best fit: of the runs that end at or before it, the one that ends last; else a new run, while there are few. */
  private runFor(slot: number): number {
    let best = NIL;
    let empty = NIL;
    for (let run = 0; run < this.tails.length; run += 1) {
      const tail = this.tails[run]!;
      if (tail === NIL) empty = run;
      else if (!this.columns.isBefore(slot, tail) && (best === NIL || this.columns.isBefore(this.tails[best]!, tail))) best = run;
    }
    if (best !== NIL || empty !== NIL) return best !== NIL ? best : empty;
    if (this.tails.length === MAX_RUNS) return NIL;
    this.heads.push(NIL);
    return this.tails.push(NIL) - 1;
  }

  private append(run: number, slot: number): void {
    const tail = this.tails[run]!;
    this.columns.setPlace(slot, Place.firstRun + run);
    this.columns.setNext(slot, NIL);
    this.columns.setPrevious(slot, tail);
    if (tail === NIL) this.heads[run] = slot;
    else this.columns.setNext(tail, slot);
    this.tails[run] = slot;
  }

  private unlink(run: number, slot: number): void {
    const next = this.columns.next(slot);
    const previous = this.columns.previous(slot);
    if (previous === NIL) this.heads[run] = next;
    else this.columns.setNext(previous, next);
    if (next === NIL) this.tails[run] = previous;
    else this.columns.setPrevious(next, previous);
  }

  private pushOverflow(slot: number): void {
    const { columns } = this;
    this.overflow ??= new IndexedHeap(
      (a, b) => columns.isBefore(a, b),
      (entry, position) => columns.setPrevious(entry, position),
    );
    columns.setPlace(slot, Place.overflow);
    this.overflow.push(slot);
  }

  private findHead(): number {
    let least = this.overflow?.peek() ?? NIL;
    for (const head of this.heads) {
      if (head !== NIL && (least === NIL || this.columns.isBefore(head, least))) least = head;
    }
    return least;
  }
}
