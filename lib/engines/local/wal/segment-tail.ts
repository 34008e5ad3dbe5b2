import type { ScannedFrame, Watermark } from '../../../contracts/event-log.interface.js';
import type { LogFileSystem } from '../../../contracts/log-file-system.interface.js';
import { EventLogCorruptError } from '../../../errors/storage.errors.js';
import { MAX_HEADER_BYTES } from './frame.codec.js';
import { LogFolder } from './log-folder.js';
import { scannedFrame } from './scanned-frame.js';
import { SegmentReader } from './segment-reader.js';
import { type TailPlace, TailPlaces } from './tail-places.js';

interface OpenTail {
  readonly fd: number;
  readonly first: number;
  readonly gen: number;
  readonly salt: number;
  readonly path: string;
  readonly reader: SegmentReader;
  /** The next entry that its frames hold. */
  nextSeq: number;
  /** What the next frame must name. */
  chain: string;
}

/**
 * Follows the log from another process, or beside it: verifies each byte that it reads, and reads nothing behind the
 * watermark, where frames are that a crash may take back. Not for concurrent calls.
 */
export class SegmentTail {
  private readonly folder: LogFolder;
  private readonly places = new TailPlaces();
  private open: OpenTail | undefined;
  private nextSeq = 0;

  constructor(
    private readonly fs: LogFileSystem,
    eventLogPath: string,
  ) {
    this.folder = new LogFolder(fs, eventLogPath);
  }

  /**
   * Frames from the one that holds `fromSeq` on, entries below it left out, whole frames until `maxEntries` are reached; empty
   * at the watermark. Goes on where the last call ended when `fromSeq` is what follows.
   * @throws EventLogCorruptError when a checksum fails, or `fromSeq` is no longer on disk.
   */
  async frames(fromSeq: number, upTo: Watermark, limits: { readonly maxEntries: number }): Promise<ScannedFrame[]> {
    const frames: ScannedFrame[] = [];
    let entries = 0;
    if (fromSeq !== this.nextSeq) await this.leave();
    this.nextSeq = fromSeq;
    while (entries < limits.maxEntries && this.nextSeq <= upTo.seq) {
      const tail = (this.open ??= await this.openAt(this.nextSeq, upTo));
      const frame = await this.step(tail, upTo);
      if (frame === null) continue;
      frames.push(frame);
      entries += frame.entries.length;
      this.nextSeq = frame.lastSeq + 1;
    }
    return frames;
  }

  async close(): Promise<void> {
    this.places.clear();
    await this.leave();
  }

  private async leave(): Promise<void> {
    const open = this.open;
    this.open = undefined;
    this.nextSeq = 0;
    if (open !== undefined) await this.fs.close(open.fd);
  }

  /** Null: nothing to show for it, look again (a frame before the wanted one, or the end of a segment). */
  private async step(tail: OpenTail, upTo: Watermark): Promise<ScannedFrame | null> {
    if (tail.reader.isAtLimit) tail.reader.extend(await this.limitOf(tail.first, tail.path, upTo));
    const item = await tail.reader.next(tail.salt);
    if (item.kind === 'seal' && item.lastSeq === tail.nextSeq - 1 && tail.first !== upTo.segment) {
      await this.advance(tail, item.crc, upTo);
      return null;
    }
    const follows = item.kind === 'frame' && item.firstSeq === tail.nextSeq && item.gen === tail.gen && item.prev === tail.chain;
    if (!follows) throw new EventLogCorruptError(tail.path, item.offset, `a valid frame with entry ${tail.nextSeq} is expected here.`);
    this.places.pass({ segment: tail.first, offset: item.offset, seq: item.firstSeq, chain: item.prev });
    tail.nextSeq = item.firstSeq + item.count;
    tail.chain = item.crc;
    return tail.nextSeq <= this.nextSeq ? null : scannedFrame(item, tail.first, this.nextSeq);
  }

  /** From a sealed segment to the one after it. */
  private async advance(tail: OpenTail, seal: string, upTo: Watermark): Promise<void> {
    const following = (await this.folder.segments()).find((first) => first > tail.first);
    if (following === undefined) throw new EventLogCorruptError(tail.path, tail.reader.offset, 'no segment follows this sealed one.');
    const next = await this.openSegment(following, upTo);
    const { prev } = next;
    if (prev !== seal) {
      await this.fs.close(next.tail.fd);
      throw new EventLogCorruptError(next.tail.path, 0, 'it does not continue the segment before it.');
    }
    this.open = next.tail;
    this.nextSeq = Math.max(this.nextSeq, following);
    await this.fs.close(tail.fd);
  }

  private async openAt(seq: number, upTo: Watermark): Promise<OpenTail> {
    const firsts = await this.folder.segments();
    const first = firsts.findLast((each) => each <= seq);
    if (first === undefined) {
      throw new EventLogCorruptError(
        this.folder.segmentPath(seq),
        0,
        `entry ${seq} is no longer on disk; the log begins with entry ${firsts[0] ?? 'none'}.`,
      );
    }
    return (await this.openSegment(first, upTo, this.places.before(seq, first))).tail;
  }

  /** @param place where to begin in it; left out: at its first frame. */
  private async openSegment(first: number, upTo: Watermark, place?: TailPlace): Promise<{ tail: OpenTail; prev: string }> {
    const path = this.folder.segmentPath(first);
    const fd = await this.fs.open(path, 'read');
    try {
      const reader = new SegmentReader(this.fs, fd, 0, Math.min(MAX_HEADER_BYTES, await this.limitOf(first, path, upTo)));
      const head = await reader.header();
      if (typeof head === 'string') throw new EventLogCorruptError(path, 0, `${head}.`);
      const { gen, prev } = head.header;
      const { offset, seq, chain } = place ?? { offset: head.bytes, seq: first, chain: prev };
      const body = new SegmentReader(this.fs, fd, offset, offset);
      return { prev, tail: { fd, first, gen, salt: head.salt, path, reader: body, nextSeq: seq, chain } };
    } catch (error) {
      await this.fs.close(fd);
      throw error;
    }
  }

  /** The watermark in its own segment; those before it are sealed, and durable to their last byte. */
  private async limitOf(first: number, path: string, upTo: Watermark): Promise<number> {
    return first === upTo.segment ? upTo.byteOffset : (await this.fs.stat(path)).sizeBytes;
  }
}
