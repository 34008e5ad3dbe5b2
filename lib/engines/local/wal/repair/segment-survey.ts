import type { LogFileSystem } from '../../../../contracts/log-file-system.interface.js';
import { encodeSegmentHeader, FORMAT_VERSION, type SegmentHeader } from '../frame.codec.js';
import { contentFault, frameFault, sealFits } from '../segment-verification.js';
import { type RawFrame, SegmentReader } from '../segment-reader.js';
import { Segment } from '../segment.js';

/** `torn`: the end of what was being written, never acknowledged. `newer`: written by a later release, not damaged. */
export type LogFaultKind = 'torn' | 'damage' | 'newer';

export interface LogFault {
  readonly file: string;
  /** First byte that is not proven. */
  readonly offset: number;
  /** How many bytes are not proven. */
  readonly bytes: number;
  readonly kind: LogFaultKind;
  readonly reason: string;
}

/** One file, read to its end whatever lies on the way. */
export interface SegmentSurvey {
  readonly file: string;
  readonly first: number;
  readonly fileBytes: number;
  /** As the file says, or as it must have been; null where that cannot be known. */
  readonly header: SegmentHeader | null;
  /** What is proven: its last sequence, its chain. */
  readonly segment: Segment | null;
  readonly frames: number;
  readonly faults: LogFault[];
}

export type FrameVisitor = (frame: RawFrame, segment: Segment) => void | Promise<void>;

const HEAD_BYTES = 64 * 1024;

/** Reads on behind damage: every frame that is proven is seen: its checksum is right, and it is what it says. Changes nothing. */
export class SegmentSurveyor {
  constructor(
    private readonly fs: LogFileSystem,
    private readonly visit: FrameVisitor,
  ) {}

  async survey(file: string, first: number, isLast: boolean, before: SegmentSurvey | undefined): Promise<SegmentSurvey> {
    const { sizeBytes } = await this.fs.stat(file);
    const fd = await this.fs.open(file, 'read');
    try {
      const faults: LogFault[] = [];
      const head = await this.head(fd, { file, first, sizeBytes }, before, faults);
      if (head === null) return { file, first, fileBytes: sizeBytes, header: null, segment: null, frames: 0, faults };
      const segment = new Segment(first, head.header.gen, head.salt, head.start, head.header.prev);
      const frames = await this.walk(fd, segment, { file, sizeBytes, isLast }, faults);
      return { file, first, fileBytes: sizeBytes, header: head.header, segment, frames, faults };
    } finally {
      await this.fs.close(fd);
    }
  }

  private async head(
    fd: number,
    { file, first, sizeBytes }: { file: string; first: number; sizeBytes: number },
    before: SegmentSurvey | undefined,
    faults: LogFault[],
  ): Promise<{ header: SegmentHeader; salt: number; start: number } | null> {
    const reader = new SegmentReader(this.fs, fd, 0, sizeBytes);
    const head = await reader.header();
    if (typeof head === 'string') {
      const kind = head.startsWith('the format is version') ? 'newer' : 'damage';
      const known = kind === 'newer' ? null : await this.restoredHead(fd, first, sizeBytes, before);
      faults.push({ file, offset: 0, bytes: known?.start ?? sizeBytes, kind, reason: head });
      return known;
    }
    if (head.header.first !== first) {
      const reason = `the file is named for entry ${first}, but begins with entry ${head.header.first}: it was renamed or copied`;
      faults.push({ file, offset: 0, bytes: sizeBytes, kind: 'damage', reason });
      return null;
    }
    const logId = before?.header?.logId ?? head.header.logId;
    if (head.header.logId !== logId) {
      const reason = `it belongs to log ${head.header.logId}, the files before it to ${logId}`;
      faults.push({ file, offset: 0, bytes: sizeBytes, kind: 'damage', reason });
      return null;
    }
    return { header: head.header, salt: head.salt, start: head.bytes };
  }

  /** A header says what the name and the file before it say, too. Whether it is the right one its own frames prove. */
  private async restoredHead(
    fd: number,
    first: number,
    sizeBytes: number,
    before: SegmentSurvey | undefined,
  ): Promise<{ header: SegmentHeader; salt: number; start: number } | null> {
    if (before?.header == null || before.segment === null || before.faults.length > 0) return null;
    const bytes = Buffer.alloc(Math.min(HEAD_BYTES, sizeBytes));
    await this.fs.read(fd, bytes, 0, bytes.length, 0);
    const gen = /#B (\d{1,16}) \d/.exec(bytes.toString('latin1'))?.[1];
    if (gen === undefined) return null;
    const header = { v: FORMAT_VERSION, logId: before.header.logId, gen: Number(gen), first, prev: before.segment.chain };
    const { salt } = encodeSegmentHeader(header);
    const start = await new SegmentReader(this.fs, fd, 0, sizeBytes).findAfter(0, salt);
    return start === null ? null : { header, salt, start };
  }

  private async walk(
    fd: number,
    segment: Segment,
    { file, sizeBytes, isLast }: { file: string; sizeBytes: number; isLast: boolean },
    faults: LogFault[],
  ): Promise<number> {
    let reader = new SegmentReader(this.fs, fd, segment.bodyStart, sizeBytes);
    let isResumed = faults.length > 0;
    let doubtfulSeq = 0;
    const fault = (offset: number, bytes: number, kind: LogFaultKind, reason: string): void =>
      void faults.push({ file, offset, bytes, kind, reason });
    for (let frames = 0; ;) {
      const item = await reader.next(segment.salt);
      if (item.kind === 'frame') {
        const contradiction = contentFault(segment, item);
        if (contradiction !== null && !isOfLaterRelease(contradiction)) {
          fault(item.offset, item.bytes, 'damage', isResumed ? contradiction : frameFault(segment, item)!);
          doubtfulSeq = (isResumed ? item.firstSeq - 1 : segment.lastSeq) + Math.max(item.count, linesIn(item.body));
          isResumed = true;
          continue;
        }
        if (isResumed && item.firstSeq > segment.lastSeq) follow(segment, item);
        isResumed = false;
        const reason = frameFault(segment, item);
        if (reason !== null) fault(item.offset, item.bytes, isOfLaterRelease(reason) ? 'newer' : 'damage', reason);
        if (item.firstSeq <= segment.lastSeq) continue; // there twice
        if (reason !== null) follow(segment, item);
        segment.add({ firstSeq: item.firstSeq, lastSeq: item.firstSeq + item.count - 1, crc: item.crc }, item.bytes);
        frames++;
        await this.visit(item, segment);
      } else if (item.kind === 'seal') {
        const isWhole = faults.length === 0;
        if (isWhole && !sealFits(segment, item)) fault(item.offset, item.bytes, 'damage', 'the seal does not fit the entries before it');
        if (segment.lastSeq < item.lastSeq) segment.lastSeq = item.lastSeq; // entries before the seal that are lost
        segment.seal(item.crc, item.bytes);
        const rest = sizeBytes - reader.offset;
        if (rest > 0) fault(reader.offset, rest, 'damage', 'bytes follow the seal');
        return frames;
      } else {
        const { offset } = item;
        const later = item.kind === 'end' ? null : await reader.findAfter(offset, segment.salt);
        if (later === null) {
          // A frame that is not proven had numbers, too: none of them may be given again.
          segment.lastSeq = Math.max(segment.lastSeq, doubtfulSeq);
          const rest = sizeBytes - offset;
          if (!isLast) fault(offset, rest, 'damage', 'the segment is damaged or cut off here, though others follow it');
          else if (rest > 0)
            fault(offset, rest, 'torn', 'a frame was being written here when the process ended; nobody was told that it is durable');
          return frames;
        }
        fault(offset, later - offset, 'damage', `the log is damaged here, though valid entries follow at byte ${later}`);
        reader = new SegmentReader(this.fs, fd, later, sizeBytes);
        isResumed = true;
      }
    }
  }
}

/** Also of a body that does not end in a newline. */
const linesIn = (body: Buffer): number => body.toString('latin1').match(/[^\n]+/g)?.length ?? 0;

const isOfLaterRelease = (reason: string): boolean => reason.includes('does not know');

/** Goes on behind a hole: a frame's own checksum has proven it. */
function follow(segment: Segment, frame: RawFrame): void {
  segment.lastSeq = frame.firstSeq - 1;
  segment.chain = frame.prev;
}
