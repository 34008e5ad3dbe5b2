import type { ShapedEntry } from './shaped-entry.js';

/** The newest entries of one task, contiguous by seq. Bounded in number and in weight; the newest one always stays. */
export class EntryRing {
  private readonly slots: (ShapedEntry | undefined)[] = [];
  private first = 1;
  private last = 0;
  private weight = 0;

  /** @param capacity entries; @param maxWeight characters, see `ShapedEntry.weight`. */
  constructor(
    private readonly capacity: number,
    private readonly maxWeight: number,
  ) {}

  get(seq: number): ShapedEntry | undefined {
    return seq < this.first || seq > this.last ? undefined : this.slots[seq % this.capacity];
  }

  /** Takes the next entry. One that does not follow the last starts the ring anew, so that what it holds is always contiguous. */
  push(seq: number, entry: ShapedEntry): void {
    if (seq !== this.last + 1) this.clear(seq);
    while (this.last - this.first + 1 >= this.capacity || (this.first <= this.last && this.weight + entry.weight > this.maxWeight))
      this.dropFirst();
    this.slots[seq % this.capacity] = entry;
    this.last = seq;
    this.weight += entry.weight;
  }

  /** Forgets everything; `next` is the seq that is expected then. */
  clear(next: number): void {
    this.slots.length = 0;
    this.first = next;
    this.last = next - 1;
    this.weight = 0;
  }

  private dropFirst(): void {
    const slot = this.first % this.capacity;
    this.weight -= this.slots[slot]?.weight ?? 0;
    this.slots[slot] = undefined;
    this.first += 1;
  }
}
