import type { EntryType } from '../../../contracts/task-event.interface.js';
import { isMissing } from '../wal/disk-error.js';
import { LogLock } from '../wal/log-lock.js';
import { type LogSurvey, surveyLog } from '../wal/repair/log-survey.js';
import { scannedFrame } from '../wal/scanned-frame.js';
import { databaseOverview } from '../storage/database-overview.js';
import type { CommandContext, CommandResult } from '../../../cli/command.interface.js';
import { repositoryOptions, withDatabase } from './database-access.js';
import { locateLog, type LogLocation } from './log-location.js';

type Counts = Partial<Record<EntryType, number>>;

/** What there is. Exit code 1 when some of it is damaged. */
export async function inspect(context: CommandContext): Promise<CommandResult> {
  const { fs, clock, ids, args } = context;
  const { folder, eventLogPath } = await locateLog(fs, args.path);
  const holder = await new LogLock(fs, folder, clock, ids).look();
  const counts = new Map<number, Counts>();
  const survey = await surveyLog(fs, folder, (frame, segment) => {
    const types = counts.get(segment.first) ?? counts.set(segment.first, {}).get(segment.first)!;
    for (const { type } of scannedFrame(frame, segment.first, frame.firstSeq).entries) types[type] = (types[type] ?? 0) + 1;
  });
  const tornCopies = await tornCopiesOf(context, folder);
  const options = repositoryOptions(args);
  const database =
    options === undefined
      ? null
      : await withDatabase(context, options, 'confirm', (connection) => databaseOverview(connection, survey.logId));
  const { logId, firstSeq, lastSeq, faults } = survey;
  const segments = segmentsOf(survey, counts);
  const report = { eventLogPath, logId, firstSeq, lastSeq, holder, segments, tornCopies, faults, database };
  return { exitCode: faults.some(({ kind }) => kind !== 'torn') ? 1 : 0, report, lines: linesOf(report) };
}

const segmentsOf = (survey: LogSurvey, counts: ReadonlyMap<number, Counts>) =>
  survey.segments.map(({ file, first, fileBytes, header, segment, frames, faults }) => ({
    file,
    first,
    last: segment?.lastSeq ?? null,
    bytes: fileBytes,
    gen: header?.gen ?? null,
    gap: header?.gap ?? null,
    isSealed: segment?.sealed ?? false,
    frames,
    entries: counts.get(first) ?? {},
    faults: faults.length,
  }));

async function tornCopiesOf({ fs }: CommandContext, folder: LogLocation['folder']): Promise<{ file: string; bytes: number }[]> {
  const directory = folder.path('torn');
  const names = await fs.readdir(directory).catch((error: unknown) => {
    if (isMissing(error)) return [];
    throw error;
  });
  const copies: { file: string; bytes: number }[] = [];
  for (const name of names.filter((each) => each.startsWith(`${folder.stem}-`)).sort())
    copies.push({ file: `${directory}/${name}`, bytes: (await fs.stat(`${directory}/${name}`)).sizeBytes });
  return copies;
}

interface Report {
  readonly eventLogPath: string;
  readonly logId: string | null;
  readonly firstSeq: number;
  readonly lastSeq: number;
  readonly holder: string | null;
  readonly segments: ReturnType<typeof segmentsOf>;
  readonly tornCopies: readonly { file: string; bytes: number }[];
  readonly faults: LogSurvey['faults'];
  readonly database: Awaited<ReturnType<typeof databaseOverview>> | null;
}

function linesOf(report: Report): string[] {
  const { eventLogPath, logId, holder, segments, tornCopies, faults, database } = report;
  const lines = [
    `log       ${logId ?? 'unknown'} at ${eventLogPath}`,
    `entries   ${report.firstSeq} to ${report.lastSeq}`,
    `held by   ${holder ?? 'nobody'}`,
    `segments  ${segments.length}`,
  ];
  for (const each of segments) {
    const types = Object.entries(each.entries).map(([type, n]) => `${type} ${n}`);
    const gap = each.gap === null ? '' : `, no entries ${each.gap[0]} to ${each.gap[1]}`;
    const state = each.faults > 0 ? 'DAMAGED OR TORN' : each.isSealed ? 'sealed' : 'open';
    lines.push(`  ${each.file}`);
    lines.push(`    ${each.first} to ${each.last ?? '?'}, ${each.bytes} bytes, generation ${each.gen ?? '?'}, ${state}${gap}`);
    if (types.length > 0) lines.push(`    ${types.join(', ')}`);
  }
  for (const { file, bytes } of tornCopies) lines.push(`torn      ${file}, ${bytes} bytes`);
  for (const fault of faults) lines.push(faultLine(fault));
  return database === null ? [...lines, 'database  not asked: --database or --url'] : [...lines, ...databaseLines(database, logId)];
}

export const faultLine = ({ file, offset, bytes, kind, reason }: LogSurvey['faults'][number]): string =>
  `${kind.padEnd(9)} ${file}, byte ${offset}, ${bytes} bytes: ${reason}`;

function databaseLines({ cursor, homes }: NonNullable<Report['database']>, logId: string | null): string[] {
  const place =
    cursor === null
      ? 'has nothing of this log'
      : `has it up to entry ${cursor.appliedSeq} (generation ${cursor.gen}, CRC ${cursor.appliedCrc})`;
  return [
    `database  ${place}`,
    ...homes.map(({ home, tasks, unfinished, deadEntries, appliedSeq, beatAt }) => {
      const life = beatAt === 0 ? 'no process, or ended in order' : `last sign of life ${new Date(beatAt).toISOString()}`;
      return `  home ${home}${home === logId ? ' (this log)' : ''}: ${tasks} tasks, ${unfinished} unfinished, ${deadEntries} dead entries, up to entry ${appliedSeq}, ${life}`;
    }),
  ];
}
