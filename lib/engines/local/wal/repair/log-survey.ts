import type { LogFileSystem } from '../../../../contracts/log-file-system.interface.js';
import { isMissing } from '../disk-error.js';
import type { LogFolder } from '../log-folder.js';
import { MAX_HEADER_BYTES } from '../frame.codec.js';
import { SegmentReader } from '../segment-reader.js';
import { successionFault } from '../segment-verification.js';
import { type FrameVisitor, type LogFault, type SegmentSurvey, SegmentSurveyor } from './segment-survey.js';

export interface LogSurvey {
  readonly logId: string | null;
  readonly segments: readonly SegmentSurvey[];
  readonly faults: readonly LogFault[];
  /** First and last entry that a file has or names; 0 and 0 without any. */
  readonly firstSeq: number;
  readonly lastSeq: number;
}

/** Reads every byte of a log, damaged or not, also beside its writer. Changes nothing. */
export async function surveyLog(fs: LogFileSystem, folder: LogFolder, visit: FrameVisitor = () => undefined): Promise<LogSurvey> {
  const firsts = await folder.segments();
  const segments: SegmentSurvey[] = [];
  let seenSeq = 0;
  const surveyor = new SegmentSurveyor(fs, async (frame, segment) => {
    if (frame.firstSeq <= seenSeq) return; // a copy of what another file has
    seenSeq = frame.firstSeq + frame.count - 1;
    await visit(frame, segment);
  });
  for (const [i, first] of firsts.entries()) {
    const before = segments.findLast((each) => each.header !== null);
    const survey = await surveyor.survey(folder.segmentPath(first), first, i === firsts.length - 1, before).catch((error: unknown) => {
      if (isMissing(error)) return null; // deleted by retention meanwhile
      throw error;
    });
    if (survey === null) continue;
    checkSuccession(before, survey);
    segments.push(survey);
  }
  return {
    logId: segments.find((each) => each.header !== null)?.header?.logId ?? null,
    segments,
    faults: segments.flatMap((each) => each.faults),
    firstSeq: segments[0]?.first ?? 0,
    lastSeq: segments.findLast((each) => each.segment !== null)?.segment?.lastSeq ?? 0,
  };
}

/** The log's id, of the first header that can be read; null where none can. */
export async function logIdOf(fs: LogFileSystem, folder: LogFolder): Promise<string | null> {
  for (const first of await folder.segments()) {
    const fd = await fs.open(folder.segmentPath(first), 'read');
    try {
      const head = await new SegmentReader(fs, fd, 0, MAX_HEADER_BYTES, MAX_HEADER_BYTES).header();
      if (typeof head !== 'string') return head.header.logId;
    } finally {
      await fs.close(fd);
    }
  }
  return null;
}

function checkSuccession(before: SegmentSurvey | undefined, next: SegmentSurvey): void {
  if (before?.header == null || before.segment === null || next.header === null || next.faults.some((fault) => fault.offset === 0)) return;
  const reason = successionFault({ segment: before.segment, header: before.header }, next.header);
  // What follows a file that is damaged itself cannot continue it: said there already.
  if (reason === null || (before.faults.length > 0 && next.header.logId === before.header.logId)) return;
  next.faults.push({ file: next.file, offset: 0, bytes: 0, kind: 'damage', reason });
}
