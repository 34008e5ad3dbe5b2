import type { LogFileSystem } from '../../../contracts/log-file-system.interface.js';
import { EventLogCorruptError } from '../../../errors/storage.errors.js';
import type { LogFolder } from './log-folder.js';
import { type RawFrame, SegmentReader } from './segment-reader.js';
import type { Segment } from './segment.js';
import type { SegmentDescriptors } from './segment-descriptors.js';

const READ_CHUNK_BYTES = 32 * 1024;
const MAX_CACHED_BYTES = 8 * 1024 * 1024;

/** A verified frame: entries are only ever served out of one. */
export interface VerifiedFrame {
  readonly bodyOffset: number;
  readonly body: Buffer;
}

/** Reads frames by position and verifies them; keeps those read last, since neighbours are asked for next. */
export class BlockCache {
  private readonly frames = new Map<string, VerifiedFrame>();
  private cachedBytes = 0;
  /** The frame that was asked for last, and its segment. */
  private newest: VerifiedFrame | undefined;
  private newestFirst = 0;

  constructor(
    private readonly fs: LogFileSystem,
    private readonly folder: LogFolder,
    private readonly descriptors: SegmentDescriptors,
  ) {}

  /** The frame that holds a byte; null when the segment is gone. @throws EventLogCorruptError when a checksum fails. */
  async frameAt(segment: Segment, offset: number): Promise<VerifiedFrame | null> {
    const cached = this.cached(segment.first, offset);
    if (cached !== undefined) return cached;
    const frame = await this.find(
      segment,
      segment.index.atOffset(offset) ?? segment.bodyStart,
      (item) => offset < item.offset + item.bytes,
    );
    if (frame === null) return null;
    // A small frame is part of a larger read, which it must not keep alive.
    const isAlone = frame.body.length * 2 >= frame.body.buffer.byteLength;
    const verified = { bodyOffset: frame.bodyOffset, body: isAlone ? frame.body : Buffer.from(frame.body) };
    this.keep(segment.first, verified);
    return verified;
  }

  /** The frame that holds a sequence; null when the segment is gone. */
  frameOf(segment: Segment, seq: number): Promise<RawFrame | null> {
    return this.find(segment, segment.index.atSeq(seq) ?? segment.bodyStart, (item) => seq < item.firstSeq + item.count);
  }

  private find(segment: Segment, from: number, isIt: (frame: RawFrame) => boolean): Promise<RawFrame | null> {
    return this.descriptors.use(segment.first, async (fd) => {
      const reader = new SegmentReader(this.fs, fd, from, segment.sizeBytes, READ_CHUNK_BYTES);
      for (;;) {
        const item = await reader.next(segment.salt);
        if (item.kind !== 'frame')
          throw new EventLogCorruptError(this.folder.segmentPath(segment.first), item.offset, 'a frame fails its checksum.');
        if (isIt(item)) return item;
      }
    });
  }

  private cached(first: number, offset: number): VerifiedFrame | undefined {
    // Reads of many entries go through a frame from end to end.
    if (this.newestFirst === first && this.newest !== undefined && holds(this.newest, offset)) return this.newest;
    const prefix = `${first}:`;
    for (const [key, frame] of this.frames) {
      if (key.startsWith(prefix) && holds(frame, offset)) return this.remember(first, frame);
    }
    return undefined;
  }

  private remember(first: number, frame: VerifiedFrame): VerifiedFrame {
    this.newestFirst = first;
    this.newest = frame;
    return frame;
  }

  private keep(first: number, frame: VerifiedFrame): void {
    this.remember(first, frame);
    const key = `${first}:${frame.bodyOffset}`;
    if (this.frames.has(key)) return;
    this.frames.set(key, frame);
    this.cachedBytes += frame.body.length;
    for (const [oldest, { body }] of this.frames) {
      // Few large frames, or few small ones: the cache is searched from end to end.
      if ((this.cachedBytes <= MAX_CACHED_BYTES && this.frames.size <= 32) || this.frames.size === 1) return;
      this.frames.delete(oldest);
      this.cachedBytes -= body.length;
    }
  }
}

const holds = (frame: VerifiedFrame, offset: number): boolean =>
  offset >= frame.bodyOffset && offset < frame.bodyOffset + frame.body.length;
