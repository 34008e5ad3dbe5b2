import type { Clock } from '../../../contracts/clock.interface.js';
import { IndexedHeap } from '../../../primitives/heap.js';
import { Place, type QueueColumns } from './queue-columns.js';

/** Tasks whose time has not come: first until `runAt` by the wall clock, then until `notBefore` by the monotonic one. */
export class DueItems {
  private readonly byRunAt: IndexedHeap;
  private readonly byBackoff: IndexedHeap;

  constructor(
    private readonly columns: QueueColumns,
    private readonly clock: Clock,
  ) {
    const moved = (slot: number, position: number): void => columns.setPrevious(slot, position);
    this.byRunAt = new IndexedHeap((a, b) => columns.runAt(a) < columns.runAt(b), moved);
    this.byBackoff = new IndexedHeap((a, b) => columns.notBefore(a) < columns.notBefore(b), moved);
  }

  holds(slot: number): boolean {
    const place = this.columns.place(slot);
    return place === Place.runAt || place === Place.backoff;
  }

  /** False when both times are over already: the slot was not taken. */
  add(slot: number): boolean {
    if (this.columns.runAt(slot) > this.clock.now()) {
      this.columns.setPlace(slot, Place.runAt);
      this.byRunAt.push(slot);
      return true;
    }
    if (this.columns.notBefore(slot) <= this.clock.monotonic()) return false;
    this.columns.setPlace(slot, Place.backoff);
    this.byBackoff.push(slot);
    return true;
  }

  remove(slot: number): void {
    const heap = this.columns.place(slot) === Place.runAt ? this.byRunAt : this.byBackoff;
    heap.removeAt(this.columns.previous(slot));
  }

  /** The next slot whose time has come, taken out; undefined: none yet. */
  takeDue(): number | undefined {
    for (let slot = this.byRunAt.peek(); slot !== undefined && this.columns.runAt(slot) <= this.clock.now(); slot = this.byRunAt.peek()) {
      this.byRunAt.pop();
      if (!this.add(slot)) return slot;
    }
    const slot = this.byBackoff.peek();
    return slot !== undefined && this.columns.notBefore(slot) <= this.clock.monotonic() ? this.byBackoff.pop() : undefined;
  }
}
