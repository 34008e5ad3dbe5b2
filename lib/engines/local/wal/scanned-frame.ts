import type { ScannedFrame } from '../../../contracts/event-log.interface.js';
import type { LogEntry } from '../../../contracts/log-entry.interface.js';
import { decodeLine, linesOf } from './entry.codec.js';
import type { RawFrame } from './segment-reader.js';

/** Decodes a verified frame; entries below `fromSeq` are left out. */
export function scannedFrame(frame: RawFrame, segment: number, fromSeq: number): ScannedFrame {
  const { offsets, lengths } = linesOf(frame.body, frame.bodyOffset);
  const skipped = Math.max(0, fromSeq - frame.firstSeq);
  const entries: LogEntry[] = [];
  for (let i = skipped; i < offsets.length; i++) {
    const start = offsets[i]! - frame.bodyOffset;
    entries.push(decodeLine(frame.body.toString('utf8', start, start + lengths[i]!)));
  }
  return {
    gen: frame.gen,
    firstSeq: frame.firstSeq,
    lastSeq: frame.firstSeq + frame.count - 1,
    crc: frame.crc,
    segment,
    entries,
    offsets: skipped === 0 ? offsets : offsets.slice(skipped),
    lengths: skipped === 0 ? lengths : lengths.slice(skipped),
  };
}
