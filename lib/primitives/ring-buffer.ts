/** The last `capacity` items, oldest first. Adding to a full one drops the oldest. O(1) per operation. */
export class RingBuffer<T> {
  private readonly items: (T | undefined)[] = [];
  private oldest = 0;
  private count = 0;

  /** @param capacity at least 1. Unit: items. Memory grows with use, up to it. */
  constructor(readonly capacity: number) {
    if (!Number.isInteger(capacity) || capacity < 1) throw new RangeError(`A ring buffer needs a capacity of at least 1, not ${capacity}.`);
  }

  get size(): number {
    return this.count;
  }

  /** @returns the item that had to go, if one had to. */
  push(item: T): T | undefined {
    if (this.count < this.capacity) {
      this.items[(this.oldest + this.count) % this.capacity] = item;
      this.count += 1;
      return undefined;
    }
    const dropped = this.items[this.oldest];
    this.items[this.oldest] = item;
    this.oldest = (this.oldest + 1) % this.capacity;
    return dropped;
  }

  shift(): T | undefined {
    if (this.count === 0) return undefined;
    const item = this.items[this.oldest];
    this.items[this.oldest] = undefined;
    this.oldest = (this.oldest + 1) % this.capacity;
    this.count -= 1;
    return item;
  }

  /** @param index 0 is the oldest. */
  at(index: number): T | undefined {
    if (!Number.isInteger(index) || index < 0 || index >= this.count) return undefined;
    return this.items[(this.oldest + index) % this.capacity];
  }

  first(): T | undefined {
    return this.at(0);
  }

  last(): T | undefined {
    return this.at(this.count - 1);
  }

  clear(): void {
    this.items.length = 0;
    this.oldest = 0;
    this.count = 0;
  }

  *[Symbol.iterator](): IterableIterator<T> {
    for (let index = 0; index < this.count; index += 1) yield this.items[(this.oldest + index) % this.capacity] as T;
  }
}
