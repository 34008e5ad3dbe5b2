import type { FlushCursor } from '../../../contracts/task-store.interface.js';
import { LogLock } from '../wal/log-lock.js';
import { logIdOf, type LogSurvey, surveyLog } from '../wal/repair/log-survey.js';
import { readCursor } from '../storage/cursor-rows.js';
import type { CommandContext, CommandResult } from '../../../cli/command.interface.js';
import { repositoryOptions, withDatabase } from './database-access.js';
import { faultLine } from './inspect.command.js';
import { locateLog } from './log-location.js';

type CursorVerdict = { readonly cursor: FlushCursor | null; readonly fault: string | null };

/** Every byte of every file. A torn end is none of the damage: the next start sets it aside, nobody was promised what it held. */
export async function verify(context: CommandContext): Promise<CommandResult> {
  const { fs, clock, ids, args } = context;
  const { folder, eventLogPath } = await locateLog(fs, args.path);
  const isHeld = (await new LogLock(fs, folder, clock, ids).look()) !== null;
  const options = repositoryOptions(args);
  // Read first: what a running process flushes meanwhile is in the log before it is in the database.
  const named = await logIdOf(fs, folder);
  const cursor =
    options === undefined || named === null
      ? undefined
      : await withDatabase(context, options, 'confirm', (session) => readCursor(session, named));
  let mark: { gen: number; lastSeq: number; crc: string } | undefined;
  let frames = 0;
  const survey = await surveyLog(fs, folder, ({ gen, firstSeq, count, crc }) => {
    frames++;
    const lastSeq = firstSeq + count - 1;
    if (cursor != null && firstSeq <= cursor.appliedSeq && cursor.appliedSeq <= lastSeq) mark = { gen, lastSeq, crc };
  });
  const database = cursor === undefined ? null : { cursor, fault: cursorFault(cursor, mark, survey) };
  const faults = isHeld ? survey.faults.filter(({ kind }) => kind !== 'torn') : survey.faults;
  const isSound = faults.every(({ kind }) => kind === 'torn') && (database === null || database.fault === null);
  const { logId, firstSeq, lastSeq, segments } = survey;
  const report = { eventLogPath, logId, ok: isSound, isHeld, segments: segments.length, frames, firstSeq, lastSeq, faults, database };
  const lines = [...faults.map(faultLine), ...databaseLine(database)];
  lines.push(`${isSound ? 'sound' : 'NOT SOUND'}: ${segments.length} segments, ${frames} frames, entries ${firstSeq} to ${lastSeq}`);
  return { exitCode: isSound ? 0 : 1, report, lines };
}

function cursorFault(
  cursor: FlushCursor | null,
  mark: { gen: number; lastSeq: number; crc: string } | undefined,
  survey: LogSurvey,
): string | null {
  if (cursor === null || cursor.appliedSeq === 0)
    return survey.firstSeq > 1 ? `the database holds nothing of this log, which begins with entry ${survey.firstSeq}` : null;
  const place = `entry ${cursor.appliedSeq} (generation ${cursor.gen}, CRC ${cursor.appliedCrc})`;
  if (mark === undefined) return `the database holds the log up to ${place}, which is not in the log`;
  if (mark.gen === cursor.gen && mark.crc === cursor.appliedCrc && mark.lastSeq === cursor.appliedSeq) return null;
  return `the database holds the log up to ${place}; the log has that entry in a frame up to ${mark.lastSeq} (generation ${mark.gen}, CRC ${mark.crc})`;
}

function databaseLine(database: CursorVerdict | null): string[] {
  if (database === null) return [];
  if (database.fault !== null) return [`cursor    ${database.fault}`];
  return [
    `cursor    ${database.cursor === null ? 'none yet' : `found: the database has the log up to entry ${database.cursor.appliedSeq}`}`,
  ];
}
