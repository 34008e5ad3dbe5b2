import type { ScannedFrame } from '../../../contracts/event-log.interface.js';
import type { LogEntry } from '../../../contracts/log-entry.interface.js';
import type { FlushCursor } from '../../../contracts/task-store.interface.js';

/** Entries can be a MiB each: memory is bounded by bytes too, at the same grain of one frame. */
const MAX_BATCH_BYTES = 8 * 1024 * 1024;

/** Whole frames on their way into one transaction: the cursor can name the end of a frame only. */
export class FrameBatch {
  entries: LogEntry[] = [];
  private bytes = 0;
  private last: ScannedFrame | undefined;

  constructor(private readonly maxEntries: number) {}

  get isFull(): boolean {
    return this.entries.length >= this.maxEntries || this.bytes >= MAX_BATCH_BYTES;
  }

  /** False: apply what is here first. One frame always fits, however large. */
  hasRoomFor(frame: ScannedFrame): boolean {
    return this.last === undefined || this.entries.length + frame.entries.length <= this.maxEntries;
  }

  add(frame: ScannedFrame): void {
    for (const entry of frame.entries) this.entries.push(entry);
    for (const length of frame.lengths) this.bytes += length;
    this.last = frame;
  }

  /** The cursor once this batch is applied. Not for an empty batch. */
  end(logId: string, ownerGen: number): FlushCursor {
    const frame = this.last;
    if (frame === undefined) throw new RangeError('An empty batch ends nowhere.');
    return { logId, gen: frame.gen, appliedSeq: frame.lastSeq, appliedCrc: frame.crc, ownerGen };
  }

  /** Starts over with a new array: the old one may still be in use by the one it was handed to. */
  clear(): void {
    this.entries = [];
    this.bytes = 0;
    this.last = undefined;
  }
}
