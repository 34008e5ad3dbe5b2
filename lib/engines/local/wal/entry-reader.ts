import type { EntryAddress, FrameMark, ScannedFrame, Watermark } from '../../../contracts/event-log.interface.js';
import type { LogEntry } from '../../../contracts/log-entry.interface.js';
import { EventLogCorruptError } from '../../../errors/storage.errors.js';
import type { BlockCache } from './block-cache.js';
import { decodeLine } from './entry.codec.js';
import type { LogFolder } from './log-folder.js';
import { scannedFrame } from './scanned-frame.js';
import type { SegmentCatalog } from './segment-catalog.js';

/** Reads what is durable. A segment that retention deleted is a miss, not an error. */
export class EntryReader {
  constructor(
    private readonly folder: LogFolder,
    private readonly catalog: SegmentCatalog,
    private readonly blocks: BlockCache,
  ) {}

  async read(address: EntryAddress): Promise<LogEntry | null> {
    const segment = this.catalog.byFirst(address.segment);
    if (segment === undefined) return null;
    const { offset, length } = address;
    const frame =
      offset >= segment.bodyStart && offset + length < segment.sizeBytes ? await this.blocks.frameAt(segment, offset) : undefined;
    if (frame === null) return null;
    const start = frame === undefined ? -1 : offset - frame.bodyOffset;
    const isLine = frame !== undefined && start >= 0 && (start === 0 || frame.body[start - 1] === 10) && frame.body[start + length] === 10;
    if (!isLine) throw new EventLogCorruptError(this.folder.segmentPath(segment.first), offset, 'no entry lies at this address.');
    return decodeLine(frame.body.toString('utf8', start, start + length));
  }

  /** In the order asked; read in the order of the disk, so that neighbours share a read. */
  async readMany(addresses: readonly EntryAddress[]): Promise<(LogEntry | null)[]> {
    const entries = addresses.map((): LogEntry | null => null);
    const order = addresses.map((_, i) => i).sort((a, b) => compare(addresses[a]!, addresses[b]!));
    for (const i of order) entries[i] = await this.read(addresses[i]!);
    return entries;
  }

  async *scan(fromSeq: number, head: Watermark): AsyncGenerator<ScannedFrame> {
    let next = fromSeq;
    while (next <= head.seq) {
      const segment = this.catalog.holding(next) ?? this.catalog.all[0]!;
      if (segment.lastSeq < next) {
        const following = this.catalog.all.find((each) => each.first > next);
        if (following === undefined) return;
        next = following.first; // numbers that no entry has
        continue;
      }
      const frame = await this.blocks.frameOf(segment, Math.max(next, segment.first));
      if (frame === null) {
        next = segment.lastSeq + 1; // deleted meanwhile: the database has it
        continue;
      }
      yield scannedFrame(frame, segment.first, next);
      next = frame.firstSeq + frame.count;
    }
  }

  async frameCrc(seq: number, head: Watermark): Promise<FrameMark | undefined> {
    const segment = this.catalog.holding(seq);
    if (segment === undefined || seq > head.seq || seq > segment.lastSeq) return undefined;
    const frame = await this.blocks.frameOf(segment, seq);
    return frame === null ? undefined : { gen: frame.gen, lastSeq: frame.firstSeq + frame.count - 1, crc: frame.crc };
  }
}

const compare = (a: EntryAddress, b: EntryAddress): number => a.segment - b.segment || a.offset - b.offset;
