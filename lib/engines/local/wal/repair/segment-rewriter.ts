import type { LogFileSystem } from '../../../../contracts/log-file-system.interface.js';
import type { FrameMark } from '../../../../contracts/event-log.interface.js';
import { encodeSeal, encodeSegmentHeader, FORMAT_VERSION, frameCrc, framePrefix, NO_CRC, type SegmentHeader } from '../frame.codec.js';
import { discardSegmentFile, openSegmentFile, type OpenSegmentFile } from '../segment-file.js';
import { type LogFolder, writeFully } from '../log-folder.js';
import type { RawFrame } from '../segment-reader.js';
import { Segment } from '../segment.js';
import { timeOf } from '../entry.codec.js';

/** A segment that no damaged one is the source of. */
const NO_SOURCE = -1;

/**
 * Proven frames, written again as a chain without a break: same entries, same frames, same generations, but for a file that calls itself
 * older than the one before it; where entries are missing a new segment begins whose header says which. The same frames give the same
 * bytes, so that a repair that was interrupted can run again.
 */
export class SegmentRewriter {
  /** Finished and synced, under their temporary names. */
  readonly staged: { readonly temporaryPath: string; readonly first: number }[] = [];
  readonly lost: (readonly [number, number])[] = [];
  /** The frame that stands for a beginning of the log that is lost. */
  beginning: FrameMark | undefined;
  private current: { segment: Segment; file: OpenSegmentFile | null; source: number } | undefined;
  private chain = NO_CRC;
  private gen = 0;

  constructor(
    private readonly fs: LogFileSystem,
    private readonly folder: LogFolder,
    private readonly logId: string,
    /** Last sequence before what is rewritten. */
    private lastSeq: number,
    /** False: computes what it would write. */
    private readonly isReal: boolean,
  ) {}

  /** A segment that stays as it is. */
  continueAfter(segment: Segment): void {
    this.chain = segment.chain;
    this.gen = segment.gen;
    this.lastSeq = segment.lastSeq;
  }

  async add(frame: RawFrame, source: number): Promise<FrameMark> {
    const follows = frame.firstSeq === this.lastSeq + 1;
    if (!follows) this.lost.push([this.lastSeq + 1, frame.firstSeq - 1]);
    if (!follows && this.lastSeq === 0) await this.standIn(frame);
    if (this.current === undefined || this.current.source !== source || !follows) await this.begin(frame.firstSeq, frame.gen, source);
    return this.append(frame);
  }

  /**
   * A log of which nothing was flushed begins with entry 1: one that begins later has lost files, or has nothing to do with its database.
   * Where a repair lost the beginning, an entry of type `gap` is entry 1, so that the log opens beside any database, and without one.
   */
  private async standIn({ gen, body }: RawFrame): Promise<void> {
    await this.begin(1, gen, NO_SOURCE);
    const line = `{"s":1,"e":"gap","t":"","at":${timeOf(body)},"a":0,"f":0,"o":""}\n`;
    this.beginning = await this.append({ firstSeq: 1, count: 1, body: Buffer.from(line, 'latin1') });
  }

  private async append(frame: Pick<RawFrame, 'firstSeq' | 'count' | 'body'>): Promise<FrameMark> {
    const { segment, file } = this.current!;
    const prefix = framePrefix(segment.gen, frame.firstSeq, frame.count, frame.body.length, segment.chain);
    const crc = frameCrc(prefix, frame.body, segment.salt);
    const mark = `${prefix}${crc}\n`;
    if (file !== null) await writeFully(this.fs, file.fd, Buffer.concat([Buffer.from(mark, 'latin1'), frame.body]));
    this.lastSeq = frame.firstSeq + frame.count - 1;
    segment.add({ firstSeq: frame.firstSeq, lastSeq: this.lastSeq, crc }, mark.length + frame.body.length);
    return { gen: segment.gen, lastSeq: this.lastSeq, crc };
  }

  /** @param endSeq last sequence that was ever given, as far as it is known: no entry may be given its number again. */
  async finish(endSeq: number): Promise<void> {
    await this.seal();
    if (endSeq <= this.lastSeq) return;
    this.lost.push([this.lastSeq + 1, endSeq]);
    await this.begin(endSeq + 1, this.gen, NO_SOURCE);
    await this.seal();
  }

  async discard(): Promise<void> {
    if (this.current?.file != null) await discardSegmentFile(this.fs, this.current.file);
    for (const { temporaryPath } of this.staged) await this.fs.unlink(temporaryPath).catch(() => undefined); // removed at the next open
  }

  private async begin(first: number, ownGen: number, source: number): Promise<void> {
    await this.seal();
    const gen = Math.max(this.gen, ownGen);
    const gap = [this.lastSeq + 1, first - 1] as const;
    const isHole = gap[1] >= gap[0];
    const header: Omit<SegmentHeader, 'v'> = { logId: this.logId, gen, first, prev: this.chain, ...(isHole ? { gap } : {}) };
    this.gen = gen;
    if (this.isReal) {
      const file = await openSegmentFile(this.fs, this.folder, header);
      this.current = { segment: file.segment, file, source };
      return;
    }
    const { line, salt } = encodeSegmentHeader({ v: FORMAT_VERSION, ...header });
    this.current = { segment: new Segment(first, gen, salt, line.length, header.prev), file: null, source };
  }

  /** An empty last segment has no seal: it is the one that the next open writes to. */
  private async seal(): Promise<void> {
    if (this.current === undefined) return;
    const { segment, file } = this.current;
    if (segment.count > 0) {
      const { line, crc } = encodeSeal(segment.lastSeq, segment.count, segment.chain, segment.salt);
      if (file !== null) await writeFully(this.fs, file.fd, Buffer.from(line, 'latin1'));
      segment.seal(crc, line.length);
      this.chain = crc;
    }
    if (file !== null) {
      await this.fs.fsync(file.fd);
      await this.fs.close(file.fd);
      this.staged.push({ temporaryPath: file.temporaryPath, first: segment.first });
    }
    this.current = undefined;
  }
}
