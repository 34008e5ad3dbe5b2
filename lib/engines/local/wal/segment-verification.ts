import type { LogFileSystem } from '../../../contracts/log-file-system.interface.js';
import { EventLogCorruptError } from '../../../errors/storage.errors.js';
import { codeOf } from './disk-error.js';
import { bodyFault, timeOf } from './entry.codec.js';
import type { SegmentHeader } from './frame.codec.js';
import { type RawFrame, type RawSeal, SegmentReader } from './segment-reader.js';
import { Segment } from './segment.js';

export interface VerifiedSegment {
  readonly segment: Segment;
  readonly header: SegmentHeader;
  /** Bytes of the file; behind `segment.sizeBytes` lies what was torn. */
  readonly fileBytes: number;
}

/**
 * Reads a whole segment and proves every byte. Only the last segment of a log may lack its seal or end in a torn frame: a frame
 * is written after the sync of the one before it returned, so that nothing behind the first bad byte was ever acknowledged,
 * unless a valid frame follows: then it is damage, and never dropped.
 */
export async function verifySegment(fs: LogFileSystem, path: string, first: number, isLast: boolean): Promise<VerifiedSegment> {
  const fd = await openSegment(fs, path);
  try {
    const { sizeBytes } = await fs.stat(path);
    const reader = new SegmentReader(fs, fd, 0, sizeBytes);
    const head = await reader.header();
    if (typeof head === 'string') throw new EventLogCorruptError(path, 0, `${head}.`);
    if (head.header.first !== first)
      throw new EventLogCorruptError(
        path,
        0,
        `the file is named for entry ${first}, but begins with entry ${head.header.first}: it was renamed or copied.`,
      );
    const segment = new Segment(first, head.header.gen, head.salt, head.bytes, head.header.prev);
    await walk(reader, segment, path, isLast);
    return { segment, header: head.header, fileBytes: sizeBytes };
  } finally {
    await fs.close(fd);
  }
}

async function openSegment(fs: LogFileSystem, path: string): Promise<number> {
  try {
    return await fs.open(path, 'read');
  } catch (error) {
    if (codeOf(error) === 'ELOOP') throw new EventLogCorruptError(path, 0, 'it is a symbolic link; put the file itself in its place.');
    throw error;
  }
}

async function walk(reader: SegmentReader, segment: Segment, path: string, isLast: boolean): Promise<void> {
  for (;;) {
    const item = await reader.next(segment.salt);
    if (item.kind === 'frame') {
      takeFrame(segment, item, path);
      continue;
    }
    if (item.kind === 'seal') {
      takeSeal(segment, item, path);
      if ((await reader.next(segment.salt)).kind === 'end') return;
      throw new EventLogCorruptError(path, reader.offset, 'bytes follow the seal.');
    }
    if (!isLast) throw new EventLogCorruptError(path, item.offset, 'the segment is damaged or cut off here, though others follow it.');
    const later = item.kind === 'end' ? null : await reader.findAfter(item.offset, segment.salt);
    if (later !== null)
      throw new EventLogCorruptError(path, item.offset, `the log is damaged here, though valid entries follow at byte ${later}.`);
    return;
  }
}

function takeFrame(segment: Segment, frame: RawFrame, path: string): void {
  const fault = frameFault(segment, frame);
  if (fault !== null) throw new EventLogCorruptError(path, frame.offset, `${fault}.`);
  segment.add({ firstSeq: frame.firstSeq, lastSeq: frame.firstSeq + frame.count - 1, crc: frame.crc }, frame.bytes);
  segment.lastAt = timeOf(frame.body);
}

/** Why a frame whose checksum is right cannot be the next one, or null. */
export function frameFault(segment: Segment, frame: RawFrame): string | null {
  const generation = generationFault(segment, frame);
  if (generation !== null) return generation;
  if (frame.firstSeq !== segment.lastSeq + 1) return `entry ${segment.lastSeq + 1} is expected, entry ${frame.firstSeq} follows`;
  if (frame.prev !== segment.chain) return 'the frame does not continue the one before it';
  return bodyFault(frame.body, frame.firstSeq, frame.count);
}

/** Why a frame contradicts its own file or itself, wherever it stands, or null: no writer of ours made it, whatever its checksum says. */
export const contentFault = (segment: Segment, frame: RawFrame): string | null =>
  generationFault(segment, frame) ?? bodyFault(frame.body, frame.firstSeq, frame.count);

const generationFault = (segment: Segment, { gen }: RawFrame): string | null =>
  gen === segment.gen ? null : `the frame is of generation ${gen}, its segment of ${segment.gen}`;

export const sealFits = (segment: Segment, seal: RawSeal): boolean =>
  seal.lastSeq === segment.lastSeq && seal.count === segment.count && seal.prev === segment.chain;

function takeSeal(segment: Segment, seal: RawSeal, path: string): void {
  if (!sealFits(segment, seal)) throw new EventLogCorruptError(path, seal.offset, 'the seal does not fit the entries before it.');
  segment.seal(seal.crc, seal.bytes);
}

/** Why a segment cannot follow another one, or null. */
export function successionFault(
  before: { readonly segment: Segment; readonly header: SegmentHeader },
  header: SegmentHeader,
): string | null {
  const expected = before.segment.lastSeq + 1;
  const follows = header.first === expected || (header.gap?.[0] === expected && header.gap[1] === header.first - 1);
  if (header.logId !== before.header.logId) return `it belongs to log ${header.logId}, the files before it to ${before.header.logId}`;
  if (!follows) return `entry ${expected} is expected, the file begins with entry ${header.first}: a file is missing, or there twice`;
  if (header.prev !== before.segment.chain) return 'it does not continue the file before it';
  return header.gen < before.header.gen ? `it is of generation ${header.gen}, the file before it of ${before.header.gen}` : null;
}
