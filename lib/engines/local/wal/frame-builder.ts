import type { LogGroup } from '../../../contracts/event-log.interface.js';
import { lineStamp, writeLine } from './entry.codec.js';
import { frameCrc, framePrefix, MAX_MARK_BYTES } from './frame.codec.js';

/** What a frame is stamped with when it is formed. */
export interface FrameStamp {
  readonly gen: number;
  readonly firstSeq: number;
  /** Epoch ms. */
  readonly at: number;
  readonly owner: string;
  readonly prev: string;
  readonly salt: number;
  /** Where the frame will begin in its file. */
  readonly position: number;
}

export interface BuiltFrame {
  /** Valid until the next build. */
  readonly bytes: Buffer;
  readonly firstSeq: number;
  readonly lastSeq: number;
  readonly count: number;
  readonly crc: string;
  readonly offsets: number[];
  readonly lengths: number[];
}

/** Kept between frames; a larger one was for a single large frame. */
const KEPT_BYTES = 2 * 1024 * 1024;

/** Builds each frame in one buffer, used again for the next: only one frame is in flight. */
export class FrameBuilder {
  private scratch: Buffer = Buffer.alloc(0);

  /** @param bytesAtMost upper bound of the lines together. */
  build(groups: readonly LogGroup[], bytesAtMost: number, stamp: FrameStamp): BuiltFrame {
    const scratch = this.room(MAX_MARK_BYTES + bytesAtMost);
    const offsets: number[] = [];
    const lengths: number[] = [];
    const now = lineStamp(stamp.at, stamp.owner);
    // Lines first, behind room for the mark line, which needs their length and checksum.
    let end = MAX_MARK_BYTES;
    let seq = stamp.firstSeq;
    for (const group of groups) {
      // Behind what the group follows no clock counts: within a task time never runs backwards.
      const lines = (group.notBefore ?? 0) > stamp.at ? lineStamp(group.notBefore!, stamp.owner) : now;
      for (const draft of group.drafts) {
        const written = writeLine(scratch, end, draft, seq, lines);
        offsets.push(end);
        lengths.push(written - 1);
        end += written;
        seq++;
      }
    }
    const count = seq - stamp.firstSeq;
    const body = scratch.subarray(MAX_MARK_BYTES, end);
    const prefix = framePrefix(stamp.gen, stamp.firstSeq, count, body.length, stamp.prev);
    const crc = frameCrc(prefix, body, stamp.salt);
    const mark = `${prefix}${crc}\n`;
    const start = MAX_MARK_BYTES - mark.length;
    scratch.write(mark, start, 'latin1');
    for (let i = 0; i < count; i++) offsets[i]! += stamp.position - start;
    return { bytes: scratch.subarray(start, end), firstSeq: stamp.firstSeq, lastSeq: seq - 1, count, crc, offsets, lengths };
  }

  private room(bytes: number): Buffer {
    if (this.scratch.length < bytes || (this.scratch.length > KEPT_BYTES && bytes <= KEPT_BYTES)) {
      this.scratch = Buffer.allocUnsafeSlow(Math.max(bytes, 64 * 1024));
    }
    return this.scratch;
  }
}
