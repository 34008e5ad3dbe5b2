import { NIL, type QueueColumns } from './queue-columns.js';

/** Looked up once: where modules run in a context of their own, as in tests, each look-up of a global costs more than the hash. */
const { imul } = Math;
const SHIFT = 13;
const CHUNK = 1 << SHIFT;
const MASK = CHUNK - 1;
const FIRST_BUCKETS = 1024;

/**
 * Finds the slot of a task id: linear hashing over the columns. With every id one bucket is split, so that no submit ever pays for
 * rehashing a million. 4 bytes per id, and no strings.
 */
export class TaskIdIndex {
  private chunks: Int32Array[] = [];
  private buckets = 0;
  /** Power of two; buckets below `buckets - base` have been split in this round. */
  private base = FIRST_BUCKETS;
  private count = 0;

  constructor(private readonly columns: QueueColumns) {
    this.reset();
  }

  find(words: Uint32Array): number {
    let slot = this.first(this.bucketOf(hash(words[0]!, words[1]!, words[2]!, words[3]!)));
    while (slot !== NIL && !this.isAt(slot, words)) slot = this.columns.chain(slot);
    return slot;
  }

  /** @param slot its words are set, and no other slot has them. */
  insert(slot: number): void {
    this.count += 1;
    if (this.count > this.buckets) this.split();
    this.link(this.bucketOf(this.hashOf(slot)), slot);
  }

  remove(slot: number): void {
    const bucket = this.bucketOf(this.hashOf(slot));
    let before = NIL;
    for (let at = this.first(bucket); at !== slot; at = this.columns.chain(at)) before = at;
    const after = this.columns.chain(slot);
    if (before === NIL) this.setFirst(bucket, after);
    else this.columns.setChain(before, after);
    this.count -= 1;
    if (this.count === 0) this.reset();
  }

  private reset(): void {
    this.chunks = [new Int32Array(CHUNK).fill(NIL)];
    this.base = FIRST_BUCKETS;
    this.buckets = FIRST_BUCKETS;
  }

  private split(): void {
    const from = this.buckets - this.base;
    const to = this.buckets;
    if (to >> SHIFT === this.chunks.length) this.chunks.push(new Int32Array(CHUNK).fill(NIL));
    let slot = this.first(from);
    this.setFirst(from, NIL);
    this.buckets += 1;
    if (this.buckets === this.base * 2) this.base = this.buckets;
    while (slot !== NIL) {
      const next = this.columns.chain(slot);
      this.link(this.bucketOf(this.hashOf(slot)), slot);
      slot = next;
    }
  }

  private link(bucket: number, slot: number): void {
    this.columns.setChain(slot, this.first(bucket));
    this.setFirst(bucket, slot);
  }

  private bucketOf(hashed: number): number {
    const wide = hashed & (this.base * 2 - 1);
    return wide < this.buckets ? wide : hashed & (this.base - 1);
  }

  private isAt(slot: number, words: Uint32Array): boolean {
    const { columns } = this;
    // The last words differ most between ids of one process.
    return (
      columns.word(slot, 3) === words[3] &&
      columns.word(slot, 2) === words[2] &&
      columns.word(slot, 1) === words[1] &&
      columns.word(slot, 0) === words[0]
    );
  }

  private hashOf(slot: number): number {
    return hash(this.columns.word(slot, 0), this.columns.word(slot, 1), this.columns.word(slot, 2), this.columns.word(slot, 3));
  }

  private first(bucket: number): number {
    return this.chunks[bucket >> SHIFT]![bucket & MASK]!;
  }
  private setFirst(bucket: number, slot: number): void {
    this.chunks[bucket >> SHIFT]![bucket & MASK] = slot;
  }
}

/** Mixes all four words: ids of tests, and of other makers, may differ in any of them. */
function hash(a: number, b: number, c: number, d: number): number {
  let mixed = imul(a, 0x9e3779b1) ^ imul(b, 0x85ebca6b) ^ imul(c, 0xc2b2ae35) ^ imul(d, 0x27d4eb2f);
  mixed = imul(mixed ^ (mixed >>> 15), 0x2c1b3c6d);
  mixed = imul(mixed ^ (mixed >>> 12), 0x297a2d39);
  return (mixed ^ (mixed >>> 15)) >>> 0;
}
