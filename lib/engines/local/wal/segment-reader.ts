import type { LogFileSystem } from '../../../contracts/log-file-system.interface.js';
import {
  crcOfFrameLine,
  decodeSeal,
  decodeSegmentHeader,
  MAX_HEADER_BYTES,
  MAX_MARK_BYTES,
  parseFrameMark,
  type FrameMarkLine,
  type SealLine,
  type SegmentHeader,
} from './frame.codec.js';

const NEWLINE = 10;
const SCAN_CHUNK_BYTES = 256 * 1024;

export interface RawFrame extends FrameMarkLine {
  readonly kind: 'frame';
  readonly offset: number;
  readonly bytes: number;
  readonly bodyOffset: number;
  readonly body: Buffer;
}
export interface RawSeal extends SealLine {
  readonly kind: 'seal';
  readonly offset: number;
  readonly bytes: number;
}
export type RawItem =
  RawFrame | RawSeal | { readonly kind: 'end'; readonly offset: number } | { readonly kind: 'invalid'; readonly offset: number };

/**
 * Walks the frames of one file, each verified by its checksum, up to a limit behind which it reads nothing. A frame that
 * does not fit before the limit is invalid. Bodies stay valid: buffers are not used again.
 */
export class SegmentReader {
  private window: Buffer = Buffer.alloc(0);
  private windowStart = 0;

  constructor(
    private readonly fs: LogFileSystem,
    private readonly fd: number,
    /** Where the next item begins. */
    private position: number,
    private limit: number,
    private readonly chunkBytes: number = SCAN_CHUNK_BYTES,
  ) {}

  get offset(): number {
    return this.position;
  }

  get isAtLimit(): boolean {
    return this.position >= this.limit;
  }

  /** A tail that learned of a later durable end goes on reading. */
  extend(limit: number): void {
    this.limit = Math.max(this.limit, limit);
  }

  /** The segment header; moves behind it. A string says what is wrong. */
  async header(): Promise<{ header: SegmentHeader; salt: number; bytes: number } | string> {
    const line = await this.line(0, MAX_HEADER_BYTES);
    if (line === null) return 'the segment header is missing or torn';
    const decoded = decodeSegmentHeader(line);
    if (typeof decoded === 'string') return decoded;
    this.position = line.length + 1;
    return { ...decoded, bytes: this.position };
  }

  /** The next frame or seal; moves behind it when it is valid. */
  async next(salt: number): Promise<RawItem> {
    const offset = this.position;
    if (offset >= this.limit) return { kind: 'end', offset };
    const item = await this.itemAt(offset, salt);
    if (item === null) return { kind: 'invalid', offset };
    this.position = offset + item.bytes;
    return item;
  }

  /** The frame or seal at an offset, or null when there is none or its checksum fails. */
  async itemAt(offset: number, salt: number): Promise<RawFrame | RawSeal | null> {
    const line = await this.line(offset, MAX_MARK_BYTES);
    if (line === null) return null;
    const seal = decodeSeal(line, salt);
    if (seal !== null) return { kind: 'seal', offset, bytes: line.length + 1, ...seal };
    const mark = parseFrameMark(line);
    if (mark === null) return null;
    const bodyOffset = offset + line.length + 1;
    const body = await this.bytes(bodyOffset, mark.bodyBytes);
    if (body.length < mark.bodyBytes || crcOfFrameLine(line, body, salt) !== mark.crc) return null;
    return { kind: 'frame', offset, bytes: line.length + 1 + body.length, bodyOffset, body, ...mark };
  }

  /** Offset of the first valid frame or seal behind a place, or null. Anywhere, not only at line starts: a newline may be what is damaged. */
  async findAfter(offset: number, salt: number): Promise<number | null> {
    for (let at = offset + 1; at < this.limit;) {
      const chunk = await this.bytes(at, SCAN_CHUNK_BYTES);
      if (chunk.length < 3) return null;
      for (let hit = chunk.indexOf('#'); hit !== -1; hit = chunk.indexOf('#', hit + 1)) {
        const next = chunk[hit + 1];
        const isMark = next === undefined || next === 0x42 || next === 0x53;
        if (isMark && (await this.itemAt(at + hit, salt)) !== null) return at + hit;
      }
      at += chunk.length;
    }
    return null;
  }

  /** The line at an offset without its newline, or null when it does not end within the bound. */
  private async line(offset: number, atMostBytes: number): Promise<string | null> {
    const bytes = await this.bytes(offset, atMostBytes);
    const end = bytes.indexOf(NEWLINE);
    return end === -1 ? null : bytes.toString('latin1', 0, end);
  }

  /** Up to so many bytes from an offset; fewer only where the file or the limit ends. */
  private async bytes(offset: number, wanted: number): Promise<Buffer> {
    const length = Math.min(wanted, this.limit - offset);
    const from = offset - this.windowStart;
    if (from < 0 || from + length > this.window.length) {
      this.window = await this.load(offset, Math.min(Math.max(length, this.chunkBytes), this.limit - offset));
      this.windowStart = offset;
      return this.window.subarray(0, length);
    }
    return this.window.subarray(from, from + length);
  }

  private async load(offset: number, length: number): Promise<Buffer> {
    const buffer = Buffer.allocUnsafeSlow(Math.max(0, length));
    let filled = 0;
    while (filled < buffer.length) {
      const read = await this.fs.read(this.fd, buffer, filled, buffer.length - filled, offset + filled);
      if (read === 0) break;
      filled += read;
    }
    return buffer.subarray(0, filled);
  }
}
