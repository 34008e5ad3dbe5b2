/**
 * A binary heap of small integers (slots of a table) that knows where each one stands, so that any of them can be taken out in
 * O(log n). 4 bytes per entry; positions are kept by the caller, in a column of its table.
 */
export class IndexedHeap {
  private entries: Int32Array;
  private count = 0;

  /**
   * @param isBefore true when `a` comes out before `b`.
   * @param moved told the position of an entry each time it changes; hand that position to `removeAt`.
   */
  constructor(
    private readonly isBefore: (a: number, b: number) => boolean,
    private readonly moved: (entry: number, position: number) => void,
    initialCapacity = 16,
  ) {
    this.entries = new Int32Array(initialCapacity);
  }

  get size(): number {
    return this.count;
  }

  peek(): number | undefined {
    return this.count === 0 ? undefined : this.entries[0];
  }

  push(entry: number): void {
    if (this.count === this.entries.length) this.resize(this.entries.length * 2);
    this.count += 1;
    this.siftUp(this.count - 1, entry);
  }

  pop(): number | undefined {
    return this.count === 0 ? undefined : this.removeAt(0);
  }

  /** @param position as last told to `moved`. */
  removeAt(position: number): number {
    if (position < 0 || position >= this.count) throw new RangeError(`No heap entry at ${position}; there are ${this.count}.`);
    const removed = this.entries[position]!;
    this.count -= 1;
    const last = this.entries[this.count]!;
    if (position < this.count) {
      // The last entry fills the hole; it may belong above it as well as below it.
      if (position > 0 && this.isBefore(last, this.entries[(position - 1) >> 1]!)) this.siftUp(position, last);
      else this.siftDown(position, last);
    }
    if (this.entries.length > 1024 && this.count < this.entries.length >> 2) this.resize(this.entries.length >> 1);
    return removed;
  }

  private siftUp(from: number, entry: number): void {
    let position = from;
    while (position > 0) {
      const parent = (position - 1) >> 1;
      const above = this.entries[parent]!;
      if (!this.isBefore(entry, above)) break;
      this.put(position, above);
      position = parent;
    }
    this.put(position, entry);
  }

  private siftDown(from: number, entry: number): void {
    let position = from;
    for (;;) {
      let child = 2 * position + 1;
      if (child >= this.count) break;
      if (child + 1 < this.count && this.isBefore(this.entries[child + 1]!, this.entries[child]!)) child += 1;
      const below = this.entries[child]!;
      if (!this.isBefore(below, entry)) break;
      this.put(position, below);
      position = child;
    }
    this.put(position, entry);
  }

  private put(position: number, entry: number): void {
    this.entries[position] = entry;
    this.moved(entry, position);
  }

  private resize(capacity: number): void {
    const entries = new Int32Array(capacity);
    entries.set(this.entries.subarray(0, Math.min(this.count, capacity)));
    this.entries = entries;
  }
}
