import type { ScannedFrame, Watermark } from '../../../contracts/event-log.interface.js';

/** Durable frames of one log, read beside the process that writes it. Not for concurrent calls. */
export interface FrameSource {
  /**
   * Whole frames in order, from the one that holds `fromSeq` (entries below it left out) until `maxEntries` are reached; empty
   * at the watermark, past which nothing is read.
   * @throws EventLogCorruptError when the log is damaged there, or `fromSeq` is no longer on disk.
   */
  frames(fromSeq: number, upTo: Watermark, limits: { readonly maxEntries: number }): Promise<ScannedFrame[]>;
  close(): Promise<void>;
}
