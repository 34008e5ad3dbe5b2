import { NO_CRC } from './frame.codec.js';

/** One position per this many bytes: a read verifies about half of it on the way, a GiB of log costs half a MiB of index. */
const INDEX_STEP_BYTES = 16 * 1024;

/** Where frames begin, sparsely. */
export class FrameIndex {
  private readonly offsets: number[] = [];
  private readonly seqs: number[] = [];

  add(offset: number, firstSeq: number): void {
    const last = this.offsets.at(-1);
    if (last !== undefined && offset - last < INDEX_STEP_BYTES) return;
    this.offsets.push(offset);
    this.seqs.push(firstSeq);
  }

  /** A frame at or before the byte, or undefined when there is none. */
  atOffset(offset: number): number | undefined {
    return this.offsets[floor(this.offsets, offset)];
  }

  /** A frame at or before the one that holds the sequence. */
  atSeq(seq: number): number | undefined {
    return this.offsets[floor(this.seqs, seq)];
  }
}

/** Position of the last value that is not above the limit; -1: none. */
function floor(ascending: readonly number[], limit: number): number {
  let low = 0;
  let high = ascending.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (ascending[middle]! <= limit) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}

/** One file of the log, as far as it is durable. */
export class Segment {
  /** Durable end: of the last frame, or of the seal. */
  sizeBytes: number;
  lastSeq: number;
  count = 0;
  /** `at` of its last entry, or 0. */
  lastAt = 0;
  /** CRC that the next frame, seal or segment must name. */
  chain: string;
  sealed = false;
  readonly index = new FrameIndex();

  constructor(
    readonly first: number,
    readonly gen: number,
    readonly salt: number,
    /** Where the first frame begins. */
    readonly bodyStart: number,
    /** What its header names: the seal before it. */
    readonly prev: string = NO_CRC,
  ) {
    this.sizeBytes = bodyStart;
    this.lastSeq = first - 1;
    // Frames are salted by the header, so that the first one may chain to what the header chains to.
    this.chain = prev;
  }

  /** Takes in a frame that is durable. */
  add(frame: { readonly firstSeq: number; readonly lastSeq: number; readonly crc: string }, bytes: number): void {
    this.index.add(this.sizeBytes, frame.firstSeq);
    this.sizeBytes += bytes;
    this.count += frame.lastSeq - frame.firstSeq + 1;
    this.lastSeq = frame.lastSeq;
    this.chain = frame.crc;
  }

  seal(crc: string, bytes: number): void {
    this.sizeBytes += bytes;
    this.chain = crc;
    this.sealed = true;
  }
}
