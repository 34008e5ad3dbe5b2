import type { EntryAddress } from '../../../contracts/event-log.interface.js';
import type { TaskId } from '../../../contracts/ids.js';
import { idOf } from '../../../primitives/uuid-words.js';

/** No slot. */
export const NIL = -1;

/** Where a slot stands. Runs of a lane are numbered from `FIRST_RUN` on. */
export const Place = { free: 0, runAt: 1, backoff: 2, overflow: 3, firstRun: 8 } as const;

const SHIFT = 13;
const CHUNK_SLOTS = 1 << SHIFT;
const MASK = CHUNK_SLOTS - 1;
const MAX_UINT32 = 2 ** 32 - 1;

/** 77 bytes a slot, in five arrays: what is read together lies together. */
class Chunk {
  /** The 16 bytes of a task id. */
  readonly ids = new Uint32Array(4 * CHUNK_SLOTS);
  /** order, priority, runAt, notBefore */
  readonly numbers = new Float64Array(4 * CHUNK_SLOTS);
  /** next, previous (in a run) or position (in a heap), lane, next with the same hash */
  readonly links = new Int32Array(4 * CHUNK_SLOTS);
  readonly places = new Uint8Array(CHUNK_SLOTS);
  /** segment (its number in `segments`, from 1 on; 0: no address), offset, length */
  readonly addresses = new Uint32Array(3 * CHUNK_SLOTS);
}

/**
 * Waiting tasks as rows of typed columns. Grows by chunks, so that growing never copies and takes the same time at any size; gives
 * the memory back when the last task has left.
 */
export class QueueColumns {
  private chunks: Chunk[] = [];
  private firstFree = NIL;
  private opened = 0;
  private used = 0;
  /** Log segments that addresses are in: few, so that an address needs twelve bytes. */
  private segments: number[] = [];

  get count(): number {
    return this.used;
  }

  allocate(): number {
    this.used += 1;
    const slot = this.firstFree;
    if (slot !== NIL) {
      this.firstFree = this.next(slot);
      return slot;
    }
    if (this.opened === this.chunks.length << SHIFT) this.chunks.push(new Chunk());
    this.opened += 1;
    return this.opened - 1;
  }

  free(slot: number): void {
    this.used -= 1;
    if (this.used === 0) {
      this.chunks = this.chunks.slice(0, 1);
      this.firstFree = NIL;
      this.opened = 0;
      this.segments = [];
      return;
    }
    this.setPlace(slot, Place.free);
    this.setNext(slot, this.firstFree);
    this.firstFree = slot;
  }

  /** True when `a` comes out before `b`: lower priority first, then lower order. */
  isBefore(a: number, b: number): boolean {
    const left = this.chunkOf(a).numbers;
    const right = this.chunkOf(b).numbers;
    const atLeft = (a & MASK) << 2;
    const atRight = (b & MASK) << 2;
    const byPriority = left[atLeft + 1]! - right[atRight + 1]!;
    return byPriority !== 0 ? byPriority < 0 : left[atLeft]! < right[atRight]!;
  }

  id(slot: number): TaskId {
    const { ids } = this.chunkOf(slot);
    const at = (slot & MASK) << 2;
    return idOf(ids[at]!, ids[at + 1]!, ids[at + 2]!, ids[at + 3]!);
  }
  word(slot: number, index: number): number {
    return this.chunkOf(slot).ids[((slot & MASK) << 2) + index]!;
  }
  setWords(slot: number, words: Uint32Array): void {
    this.chunkOf(slot).ids.set(words, (slot & MASK) << 2);
  }

  setNumbers(slot: number, order: number, priority: number, runAt: number, notBefore: number): void {
    const { numbers } = this.chunkOf(slot);
    const at = (slot & MASK) << 2;
    numbers[at] = order;
    numbers[at + 1] = priority;
    numbers[at + 2] = runAt;
    numbers[at + 3] = notBefore;
  }
  order(slot: number): number {
    return this.chunkOf(slot).numbers[(slot & MASK) << 2]!;
  }
  priority(slot: number): number {
    return this.chunkOf(slot).numbers[((slot & MASK) << 2) + 1]!;
  }
  runAt(slot: number): number {
    return this.chunkOf(slot).numbers[((slot & MASK) << 2) + 2]!;
  }
  notBefore(slot: number): number {
    return this.chunkOf(slot).numbers[((slot & MASK) << 2) + 3]!;
  }

  next(slot: number): number {
    return this.chunkOf(slot).links[(slot & MASK) << 2]!;
  }
  setNext(slot: number, to: number): void {
    this.chunkOf(slot).links[(slot & MASK) << 2] = to;
  }
  /** The one before it in its run; in a heap, its position. */
  previous(slot: number): number {
    return this.chunkOf(slot).links[((slot & MASK) << 2) + 1]!;
  }
  setPrevious(slot: number, to: number): void {
    this.chunkOf(slot).links[((slot & MASK) << 2) + 1] = to;
  }
  lane(slot: number): number {
    return this.chunkOf(slot).links[((slot & MASK) << 2) + 2]!;
  }
  setLane(slot: number, lane: number): void {
    this.chunkOf(slot).links[((slot & MASK) << 2) + 2] = lane;
  }
  chain(slot: number): number {
    return this.chunkOf(slot).links[((slot & MASK) << 2) + 3]!;
  }
  setChain(slot: number, to: number): void {
    this.chunkOf(slot).links[((slot & MASK) << 2) + 3] = to;
  }

  place(slot: number): number {
    return this.chunkOf(slot).places[slot & MASK]!;
  }
  setPlace(slot: number, place: number): void {
    this.chunkOf(slot).places[slot & MASK] = place;
  }

  address(slot: number): EntryAddress | undefined {
    const { addresses } = this.chunkOf(slot);
    const at = (slot & MASK) * 3;
    const segment = addresses[at]!;
    if (segment === 0) return undefined;
    return { segment: this.segments[segment - 1]!, offset: addresses[at + 1]!, length: addresses[at + 2]! };
  }
  /** An address that does not fit is left out: the task is then read from the database. */
  setAddress(slot: number, address: EntryAddress | undefined): void {
    const { addresses } = this.chunkOf(slot);
    const at = (slot & MASK) * 3;
    const fits = address !== undefined && address.offset <= MAX_UINT32 && address.length <= MAX_UINT32;
    addresses[at] = fits ? this.segmentNumber(address.segment) : 0;
    if (!fits) return;
    addresses[at + 1] = address.offset;
    addresses[at + 2] = address.length;
  }

  private segmentNumber(segment: number): number {
    // Nearly always the newest one.
    const known = this.segments.lastIndexOf(segment);
    return known === -1 ? this.segments.push(segment) : known + 1;
  }

  private chunkOf(slot: number): Chunk {
    return this.chunks[slot >>> SHIFT]!;
  }
}
