import { basename, join } from 'node:path';
import { crc32 } from 'node:zlib';
import type { FrameMark } from '../../../../contracts/event-log.interface.js';
import type { LogFileSystem } from '../../../../contracts/log-file-system.interface.js';
import { hex8 } from '../frame.codec.js';
import type { LogFolder } from '../log-folder.js';
import { type LogSurvey, surveyLog } from './log-survey.js';
import { SegmentRewriter } from './segment-rewriter.js';

const COPY_CHUNK_BYTES = 1024 * 1024;

/** What a repair does, or did. */
export interface RepairPlan {
  readonly logId: string;
  /** Copied to `quarantine/` as they are. */
  readonly damaged: readonly string[];
  /** Written again from proven frames, or left out where none is. */
  readonly rewritten: readonly string[];
  /** Sequences that no entry has afterwards: from, to, both included. */
  readonly lost: readonly (readonly [number, number])[];
  /** The frame at which a database stands afterwards that has the log up to `appliedSeq`, before and after the repair. */
  readonly markBefore: FrameMark | undefined;
  readonly markAfter: FrameMark | undefined;
}

/** Keeps every proven frame of a damaged log. Only the holder of the lock may apply it. */
export class LogRepair {
  constructor(
    private readonly fs: LogFileSystem,
    private readonly folder: LogFolder,
    private readonly survey: LogSurvey,
    /** How far the database is: those numbers are never given again. */
    private readonly appliedSeq: number,
  ) {}

  plan(): Promise<RepairPlan> {
    return this.rewrite(false, async () => undefined);
  }

  /**
   * Copies damaged files, stages new ones, then lets `beforeSwap` move the cursor: interrupted anywhere, a second run ends what the first
   * began.
   * @returns the plan, and where the copies are.
   */
  async apply(beforeSwap: (plan: RepairPlan) => Promise<void>): Promise<{ plan: RepairPlan; copies: readonly string[] }> {
    const copies: string[] = [];
    await this.folder.removeTemporary();
    for (const file of this.damaged) copies.push(await this.quarantine(file));
    return { plan: await this.rewrite(true, beforeSwap), copies };
  }

  private get damaged(): string[] {
    return this.survey.segments.filter(({ faults }) => faults.length > 0).map(({ file }) => file);
  }

  private async rewrite(isReal: boolean, beforeSwap: (plan: RepairPlan) => Promise<void>): Promise<RepairPlan> {
    const { segments } = this.survey;
    const logId = this.survey.logId!;
    const start = segments.findIndex(({ faults }) => faults.length > 0);
    const rewriter = new SegmentRewriter(this.fs, this.folder, logId, segments[start]!.first - 1, isReal);
    if (start > 0) rewriter.continueAfter(segments[start - 1]!.segment!);
    let [markBefore, markAfter]: (FrameMark | undefined)[] = [];
    try {
      await surveyLog(this.fs, this.folder, async (frame, { first }) => {
        const before = { gen: frame.gen, lastSeq: frame.firstSeq + frame.count - 1, crc: frame.crc };
        const after = first < segments[start]!.first ? before : await rewriter.add(frame, first);
        if (before.lastSeq <= this.appliedSeq) [markBefore, markAfter] = [before, after];
      });
      await rewriter.finish(Math.max(this.survey.lastSeq, this.appliedSeq));
      const rewritten = segments.slice(start).map(({ file }) => file);
      // What the database has of a lost beginning stays in it.
      if (this.appliedSeq > 0) markAfter ??= rewriter.beginning;
      const plan = { logId, damaged: this.damaged, rewritten, lost: rewriter.lost, markBefore, markAfter };
      if (isReal) {
        await beforeSwap(plan);
        await this.swap(rewriter, rewritten);
      }
      return plan;
    } catch (error) {
      await rewriter.discard();
      throw error;
    }
  }

  /** New files first: until the last one is in place, everything proven is in one file or another. */
  private async swap(rewriter: SegmentRewriter, rewritten: readonly string[]): Promise<void> {
    const names = new Set<string>();
    for (const { temporaryPath, first } of rewriter.staged.toReversed()) {
      const path = this.folder.segmentPath(first);
      await this.fs.rename(temporaryPath, path);
      names.add(path);
      await this.folder.sync();
    }
    for (const file of rewritten) if (!names.has(file)) await this.fs.unlink(file);
    await this.folder.sync();
  }

  private async quarantine(file: string): Promise<string> {
    const directory = this.folder.path('quarantine');
    await this.folder.create(directory);
    let crc = 0;
    for await (const chunk of this.chunks(file)) crc = crc32(chunk, crc);
    const copy = join(directory, `${basename(file)}.${hex8(crc)}`); // the same bytes get the same name
    await this.folder.replace(copy, this.chunks(file));
    return copy;
  }

  private async *chunks(file: string): AsyncGenerator<Buffer> {
    const fd = await this.fs.open(file, 'read');
    try {
      for (let at = 0; ;) {
        const buffer = Buffer.allocUnsafe(COPY_CHUNK_BYTES);
        const read = await this.fs.read(fd, buffer, 0, buffer.length, at);
        if (read === 0) return;
        yield buffer.subarray(0, read);
        at += read;
      }
    } finally {
      await this.fs.close(fd);
    }
  }
}
