import { crc32 } from 'node:zlib';
import { MAX_FRAME_BODY_BYTES } from '../../../domain/bounds.js';

/** Version of the format, `v` of a segment header. A newer one refuses to open. */
export const FORMAT_VERSION = 1;
/** `#B` and `#S` lines, newline included, are shorter. */
export const MAX_MARK_BYTES = 160;
export const MAX_HEADER_BYTES = 1024;

export interface SegmentHeader {
  readonly v: number;
  readonly logId: string;
  readonly gen: number;
  /** Sequence of the first entry: also the file's name. */
  readonly first: number;
  /** CRC of the seal before it; 00000000 in the first segment of a log. */
  readonly prev: string;
  /** Sequences that no entry has: from, to, both included. */
  readonly gap?: readonly [number, number];
}

/** `#B` or `#S` as parsed; checked only by `frameCrcOf` and `sealCrcOf`. */
export interface FrameMarkLine {
  readonly gen: number;
  readonly firstSeq: number;
  readonly count: number;
  readonly bodyBytes: number;
  readonly prev: string;
  readonly crc: string;
}
export interface SealLine {
  readonly lastSeq: number;
  readonly count: number;
  readonly prev: string;
  readonly crc: string;
}

export const NO_CRC = '00000000';
export const hex8 = (crc: number): string => crc.toString(16).padStart(8, '0');

/** The line, and the CRC that salts every frame of the segment: blocks of a deleted file can never pass for frames of this one. */
export function encodeSegmentHeader(header: SegmentHeader): { line: string; salt: number } {
  const { v, logId, gen, first, prev, gap } = header;
  const json = JSON.stringify({ v, logId, gen, first, prev, ...(gap === undefined ? {} : { gap }) });
  const salt = crc32(json);
  return { line: `#H ${json} ${hex8(salt)}\n`, salt };
}

/** @param line without its newline. A string says what is wrong. */
export function decodeSegmentHeader(line: string): { header: SegmentHeader; salt: number } | string {
  const match = /^#H (\{.*\}) ([0-9a-f]{8})$/.exec(line);
  if (match === null) return 'the segment header is damaged';
  const salt = crc32(match[1]!);
  if (hex8(salt) !== match[2]) return 'the segment header fails its checksum';
  const header = JSON.parse(match[1]!) as SegmentHeader;
  if (header.v !== FORMAT_VERSION)
    return `the format is version ${header.v}, this release reads version ${FORMAT_VERSION}: install the release that wrote it`;
  return { header, salt };
}

/** The part of a `#B` line that its CRC covers, before the body. */
export const framePrefix = (gen: number, firstSeq: number, count: number, bodyBytes: number, prev: string): string =>
  `#B ${gen} ${firstSeq} ${count} ${bodyBytes} ${prev} `;

/** Chained: header fields first, then the body, started from the segment's salt. */
export const frameCrc = (prefix: string, body: Buffer, salt: number): string => hex8(crc32(body, crc32(prefix, salt)));

export function parseFrameMark(line: string): FrameMarkLine | null {
  const match = /^#B (\d{1,16}) (\d{1,16}) (\d{1,7}) (\d{1,8}) ([0-9a-f]{8}) ([0-9a-f]{8})$/.exec(line);
  if (match === null) return null;
  const [gen, firstSeq, count, bodyBytes] = [Number(match[1]), Number(match[2]), Number(match[3]), Number(match[4])];
  if (count === 0 || bodyBytes > MAX_FRAME_BODY_BYTES) return null;
  return { gen, firstSeq, count, bodyBytes, prev: match[5]!, crc: match[6]! };
}

/** The CRC that the line should carry. From its text, so that leading zeros and the like do not pass. */
export const crcOfFrameLine = (line: string, body: Buffer, salt: number): string => frameCrc(line.slice(0, -8), body, salt);

export function encodeSeal(lastSeq: number, count: number, prev: string, salt: number): { line: string; crc: string } {
  const prefix = `#S ${lastSeq} ${count} ${prev} `;
  const crc = hex8(crc32(prefix, salt));
  return { line: `${prefix}${crc}\n`, crc };
}

/** @returns null when it is no seal, or fails its checksum. */
export function decodeSeal(line: string, salt: number): SealLine | null {
  const match = /^#S (\d{1,16}) (\d{1,16}) ([0-9a-f]{8}) ([0-9a-f]{8})$/.exec(line);
  if (match === null || hex8(crc32(line.slice(0, -8), salt)) !== match[4]) return null;
  return { lastSeq: Number(match[1]), count: Number(match[2]), prev: match[3]!, crc: match[4]! };
}
