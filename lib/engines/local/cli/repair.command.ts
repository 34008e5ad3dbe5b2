import type { FlushCursor } from '../../../contracts/task-store.interface.js';
import { LogCursorFile } from '../wal/cursor-file.js';
import { LogLock } from '../wal/log-lock.js';
import { LogRepair, type RepairPlan } from '../wal/repair/log-repair.js';
import { logIdOf, type LogSurvey, surveyLog } from '../wal/repair/log-survey.js';
import { readCursor, replaceCursor } from '../storage/cursor-rows.js';
import { UsageError } from '../../../cli/arguments.js';
import type { CommandContext, CommandResult } from '../../../cli/command.interface.js';
import { repositoryOptions, withDatabase } from './database-access.js';
import { faultLine } from './inspect.command.js';
import { locateLog } from './log-location.js';

/** Where the position of the database is kept. */
interface CursorPlace {
  read(logId: string): Promise<FlushCursor | null>;
  replace(from: FlushCursor, to: FlushCursor): Promise<void>;
}

/** Everything proven is kept; what is damaged is set aside. @throws EventLogLockedError while a process holds the log. */
export async function repair(context: CommandContext): Promise<CommandResult> {
  const { fs, clock, ids, args } = context;
  if (args.rebuild) return (await import('./rebuild.command.js')).rebuild(context);
  const { folder, eventLogPath } = await locateLog(fs, args.path);
  const lock = new LogLock(fs, folder, clock, ids);
  const since = new Date(clock.now()).toISOString();
  await lock.acquire(0, () => ({ pid: process.pid, owner: 'taskflow log repair', since }));
  try {
    const options = repositoryOptions(args);
    if (options !== undefined)
      return await withDatabase(context, options, 'confirm', (connection) =>
        repairWith(context, folder, {
          read: (logId) => readCursor(connection, logId),
          replace: (from, to) => replaceCursor(connection, from, to),
        }),
      );
    const file = new LogCursorFile(fs, eventLogPath);
    const place = { read: () => file.read(), replace: (_: FlushCursor, to: FlushCursor) => file.write(to) };
    return await repairWith(context, folder, (await file.read()) === null ? null : place);
  } finally {
    await lock.release();
  }
}

async function repairWith(
  { fs, args }: CommandContext,
  folder: ConstructorParameters<typeof LogRepair>[1],
  place: CursorPlace | null,
): Promise<CommandResult> {
  const survey = await surveyLog(fs, folder);
  const faults = survey.faults.filter(({ kind }) => kind !== 'torn');
  const lines = survey.faults.map(faultLine);
  if (faults.length === 0) {
    lines.push('nothing is damaged', ...(survey.faults.length === 0 ? [] : ['the next start sets the torn end aside by itself']));
    return { exitCode: 0, report: { logId: survey.logId, done: false, faults: survey.faults }, lines };
  }
  if (faults.some(({ kind }) => kind === 'newer'))
    return refused('a later release wrote this log: install it; nothing was changed', { logId: survey.logId, faults }, lines);
  const logId = await logIdOf(fs, folder);
  if (logId === null || survey.segments.every(({ frames }) => frames === 0))
    return refused('no frame of this log can be proven: restore it from a backup; nothing was changed', { logId, faults }, lines);
  if (args.yes && place === null)
    throw new UsageError('log repair --yes needs the database, whose position changes with the files: --database <file> or --url <url>');
  const cursor = (await place?.read(logId)) ?? null;
  const work = new LogRepair(fs, folder, survey, cursor?.appliedSeq ?? 0);
  const plan = await work.plan();
  lines.push(...uselessLines(survey));
  const mismatch = cursor === null ? null : mismatchOf(cursor, plan);
  if (mismatch !== null) return refused(mismatch, { logId, faults, cursor }, lines);
  if (!args.yes)
    return {
      exitCode: 1,
      report: { done: false, faults, ...plan },
      lines: [...lines, ...planLines(plan, 'would be'), 'add --yes to do it'],
    };
  const { copies } = await work.apply(async ({ markAfter }) => {
    if (cursor === null || markAfter === undefined) return;
    await place!.replace(cursor, { ...cursor, gen: markAfter.gen, appliedSeq: markAfter.lastSeq, appliedCrc: markAfter.crc });
  });
  return {
    exitCode: 0,
    report: { done: true, faults, copies, ...plan },
    lines: [...lines, ...planLines(plan, 'was'), ...copies.map((copy) => `set aside ${copy}`)],
  };
}

const refused = (refusal: string, report: object, lines: string[]): CommandResult => ({
  exitCode: 1,
  report: { ...report, done: false, refusal },
  lines: [...lines, refusal],
});

/** The frame at the cursor must be the one that the database was given, unless it is among what is lost, or was repaired before. */
function mismatchOf(cursor: FlushCursor, { markBefore, markAfter, lost }: RepairPlan): string | null {
  const is = (mark: typeof markBefore): boolean => mark?.lastSeq === cursor.appliedSeq && mark.crc === cursor.appliedCrc;
  if (cursor.appliedSeq === 0 || is(markBefore) || is(markAfter)) return null;
  const isLost = lost.some(([from, to]) => from <= cursor.appliedSeq && cursor.appliedSeq <= to);
  if (isLost && markAfter !== undefined) return null;
  return (
    `the database holds the log up to entry ${cursor.appliedSeq} (generation ${cursor.gen}, CRC ${cursor.appliedCrc}), which is not in this log: ` +
    'nothing was changed. Restore both of the same time, or apply what the log retains to a fresh database: taskflow log repair --rebuild'
  );
}

/** Files that nothing can be kept of: how far they went, nobody knows. */
const uselessLines = ({ segments }: LogSurvey): string[] =>
  segments
    .filter(({ frames, faults }) => frames === 0 && faults.length > 0)
    .map(({ file, first }) => `LOST      all that only ${file} had, from entry ${first} on`);

function planLines({ damaged, rewritten, lost }: RepairPlan, will: string): string[] {
  return [
    ...damaged.map((file) => `${file}: a copy ${will} put into quarantine/`),
    ...rewritten.map((file) => `${file}: ${will} written again from its proven frames`),
    ...(lost.length === 0 ? ['no entry is lost'] : lost.map(([from, to]) => `LOST      entries ${from} to ${to}`)),
  ];
}
