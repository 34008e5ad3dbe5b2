import type { ScannedFrame, Watermark } from '../../../contracts/event-log.interface.js';
import type { FlushCursor, Projector } from '../../../contracts/task-store.interface.js';
import { EventLogCorruptError } from '../../../errors/storage.errors.js';
import { FencedWriterError } from '../storage/flush.errors.js';
import { checkCursor } from './cursor-check.js';
import type { FlushLoopOptions } from './flusher.interface.js';
import type { FrameSource } from './frame-source.interface.js';

/**
 * Reads the cursor and finds its frame in the log, so that flushing goes on exactly behind it.
 * @throws FencedWriterError when a newer generation writes; RepositoryError (`HISTORY_MISMATCH`) when the log does not hold that frame.
 */
export async function locateCursor(
  options: FlushLoopOptions,
  parts: { readonly source: FrameSource; readonly projector: Projector },
  watermark: Watermark,
): Promise<FlushCursor | null> {
  const { logId, ownerGen: gen, eventLogPath } = options;
  const cursor = await parts.projector.cursor(logId);
  if (cursor !== null && cursor.ownerGen > gen) throw new FencedWriterError(logId, gen, cursor.ownerGen);
  const appliedSeq = cursor?.appliedSeq ?? 0;
  const found = await frameOf(appliedSeq, parts.source, watermark, eventLogPath);
  const log = { logId, gen, firstSeq: found?.firstSeq ?? watermark.seq + 1, lastSeq: watermark.seq };
  checkCursor(log, cursor, found, eventLogPath);
  return cursor;
}

/** The frame at which the database stands, or the first one of the log. */
async function frameOf(
  appliedSeq: number,
  source: FrameSource,
  watermark: Watermark,
  eventLogPath: string,
): Promise<ScannedFrame | undefined> {
  const seq = Math.max(1, appliedSeq);
  if (watermark.seq < seq) return undefined;
  try {
    const [frame] = await source.frames(seq, watermark, { maxEntries: 1 });
    return frame;
  } catch (error) {
    if (!EventLogCorruptError.is(error)) throw error;
    const { file, offset } = error;
    const reason = error.message.replace(`${file}, byte ${offset}: `, '');
    throw new EventLogCorruptError(
      file,
      offset,
      `${reason} The database holds the log up to entry ${appliedSeq}. To apply what the log retains to a fresh database: npx taskflow log repair ${eventLogPath} --rebuild --database <file> (or --url)`,
    );
  }
}
