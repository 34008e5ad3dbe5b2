import type { FrameMark, OpenedLog } from '../../../contracts/event-log.interface.js';
import type { FlushCursor } from '../../../contracts/task-store.interface.js';
import { RepositoryError } from '../../../errors/storage.errors.js';

/** The part of an opened log that a cursor is held against. */
export type LogPosition = Pick<OpenedLog, 'logId' | 'gen' | 'firstSeq' | 'lastSeq'>;

/**
 * Log and database belong together: the frame of the cursor is in the log, or nothing was flushed and the log starts at 1.
 * With anything else flushing would skip entries, or write over what another history wrote.
 * @param mark of the frame that holds `cursor.appliedSeq`, as read from the log.
 * @param eventLogPath as configured, for the repair command.
 * @throws RepositoryError, code `HISTORY_MISMATCH`, naming both positions.
 */
export function checkCursor(log: LogPosition, cursor: FlushCursor | null, mark: FrameMark | undefined, eventLogPath: string): void {
  if (cursor === null || cursor.appliedSeq === 0) {
    if (log.firstSeq > 1) throw mismatch(log, 'holds nothing of this log', '', eventLogPath);
    return;
  }
  const database = `holds it up to entry ${cursor.appliedSeq} (generation ${cursor.gen}, CRC ${cursor.appliedCrc})`;
  if (cursor.ownerGen > log.gen) {
    throw mismatch(log, `${database}, written by generation ${cursor.ownerGen}`, `, opened as generation ${log.gen}`, eventLogPath);
  }
  if (mark === undefined) throw mismatch(log, database, '', eventLogPath);
  if (mark.crc === cursor.appliedCrc && mark.gen === cursor.gen && mark.lastSeq === cursor.appliedSeq) return;
  throw mismatch(
    log,
    database,
    `, where that entry is in a frame up to ${mark.lastSeq} (generation ${mark.gen}, CRC ${mark.crc})`,
    eventLogPath,
  );
}

function mismatch(log: LogPosition, database: string, found: string, eventLogPath: string): RepositoryError {
  const range = log.lastSeq < log.firstSeq ? `no entries; its next one is ${log.firstSeq}` : `entries ${log.firstSeq} to ${log.lastSeq}`;
  return new RepositoryError(
    'HISTORY_MISMATCH',
    `Event log ${log.logId} and the database do not belong together: the database ${database}; the log has ${range}${found}. ` +
      `Nothing was changed. If a backup of one of them was restored, restore the other of the same time, or apply what the log retains to a fresh database: npx taskflow log repair ${eventLogPath} --rebuild --database <file> (or --url)`,
  );
}
