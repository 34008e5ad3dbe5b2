import type { Clock, IdSource } from '../../../contracts/clock.interface.js';
import type { ScannedFrame, Watermark } from '../../../contracts/event-log.interface.js';
import type { FlushCursor, Projector } from '../../../contracts/task-store.interface.js';
import { EventLogCorruptError, EventLogError, RepositoryError } from '../../../errors/storage.errors.js';
import { isSilence } from '../../../repository/answer-limit.js';
import { CursorMovedError } from '../storage/flush.errors.js';
import { FrameBatch } from './frame-batch.js';
import { FlushBreaker } from './flush-breaker.js';
import { FlushSchedule } from './flush-schedule.js';
import type { FlushListener, FlushLoopOptions } from './flusher.interface.js';
import type { FrameSource } from './frame-source.interface.js';
import { failureReason } from './failure-reason.js';
import { endsFlushing } from './flush-end.js';
import { locateCursor } from './locate-cursor.js';
import { failpoint } from '../../../primitives/failpoint.js';

/** What a loop works with. It owns source and projector, and closes them when it ends. */
export interface FlushLoopParts {
  readonly source: FrameSource;
  readonly projector: Projector;
  readonly clock: Clock;
  readonly ids: Pick<IdSource, 'random'>;
  readonly listener: FlushListener;
}

/**
 * Carries durable frames into the database, batch by batch; rows and cursor in one transaction. The one loop of worker
 * process and inline flushing.
 *
 * After any failure the cursor is read again before anything is written: whether the last commit happened does not
 * matter then, and nothing is skipped or applied beside it.
 */
export class FlushLoop {
  private cursor: FlushCursor | null = null;
  private isLocated = false;
  private isOpen = false;
  private isStopping = false;
  private cursorMoves = 0;
  private readonly breaker: FlushBreaker;
  private readonly schedule: FlushSchedule;
  private ended: Promise<void> | undefined;

  constructor(
    private readonly options: FlushLoopOptions,
    private readonly parts: FlushLoopParts,
  ) {
    this.breaker = new FlushBreaker(options.circuitBreakerThreshold, options.circuitBreakerDurationMs, parts.ids);
    this.schedule = new FlushSchedule(options, parts.clock);
  }

  start(watermark: Watermark): void {
    this.schedule.advance(watermark);
    this.ended ??= this.run();
  }

  advance(watermark: Watermark): void {
    this.schedule.advance(watermark);
  }

  flushNow(watermark: Watermark): void {
    this.schedule.flushNow(watermark);
  }

  /** Resolves when the batch in flight is done and everything is closed. */
  async stop(): Promise<void> {
    this.isStopping = true;
    this.schedule.stop();
    await this.ended;
  }

  private async run(): Promise<void> {
    let end: Error | undefined;
    while (!this.isStopping && end === undefined) {
      try {
        await this.pass();
      } catch (error) {
        if (endsFlushing(error)) end = error;
        else await this.recoverFrom(error);
      }
    }
    await this.close();
    if (end !== undefined) this.parts.listener.halted(end);
  }

  private async pass(): Promise<void> {
    if (!this.isLocated) await this.locate();
    await this.schedule.untilDue();
    if (!this.isStopping) await this.flushUpTo(this.schedule.take());
  }

  private async locate(): Promise<void> {
    if (!this.isOpen) await this.parts.projector.open();
    this.isOpen = true;
    const cursor = await locateCursor(this.options, this.parts, this.schedule.watermark);
    this.requireNotBehind(cursor);
    this.cursor = cursor;
    this.isLocated = true;
    this.schedule.applied(this.cursor?.appliedSeq ?? 0);
    // The commit whose answer was lost, or another life of this loop, may have come further than was reported.
    if (this.cursor !== null) this.parts.listener.applied(this.cursor, 0);
    // With nothing left to apply, the read was the probe.
    if (this.schedule.isIdle) this.succeeded();
  }

  /**
   * What was reported was let go of: read back from a database that is behind it, a task could be "unknown", or older than it was shown.
   */
  private requireNotBehind(cursor: FlushCursor | null): void {
    const known = Math.max(this.appliedSeq, this.options.appliedAtLeast);
    const found = cursor?.appliedSeq ?? 0;
    if (found >= known) return;
    throw new RepositoryError(
      'HISTORY_MISMATCH',
      `The database held event log ${this.options.logId} up to entry ${known}, and now holds it up to entry ${found}: it was replaced or restored ` +
        'under the running system. Nothing was changed. Restart the process: what the log retains is then applied again.',
    );
  }

  private async flushUpTo(target: Watermark): Promise<void> {
    const batch = new FrameBatch(this.options.maxBatchSize);
    for (let nextSeq = this.appliedSeq + 1; nextSeq <= target.seq;) {
      // One by one: frames differ in size by orders of magnitude, and memory is bounded by what is held here.
      const [frame] = await this.parts.source.frames(nextSeq, target, { maxEntries: 1 });
      if (frame === undefined) throw this.unreadable(nextSeq, target);
      this.requireNext(frame, nextSeq);
      if (!batch.hasRoomFor(frame)) await this.apply(batch);
      batch.add(frame);
      nextSeq = frame.lastSeq + 1;
      // A probe is one frame, lest a database that just came back is met with the whole backlog.
      if (batch.isFull || this.breaker.state === 'half-open') await this.apply(batch);
      if (this.isStopping) return;
    }
    if (batch.entries.length > 0) await this.apply(batch);
  }

  /** A jump is one that the log knows of, at the start of a segment: the source holds segments to their chain. */
  private requireNext(frame: ScannedFrame, expectedSeq: number): void {
    const isKnownGap = frame.firstSeq > expectedSeq && frame.firstSeq === frame.segment;
    if (frame.firstSeq === expectedSeq || isKnownGap) return;
    throw new EventLogCorruptError(this.options.eventLogPath, 0, `entry ${expectedSeq} is missing; entry ${frame.firstSeq} comes instead.`);
  }

  private unreadable(nextSeq: number, target: Watermark): EventLogError {
    return new EventLogError('failed', 'none', `The log is durable up to entry ${target.seq}, but entry ${nextSeq} cannot be read.`);
  }

  private async apply(batch: FrameBatch): Promise<void> {
    const { logId, ownerGen } = this.options;
    const from = this.cursor;
    failpoint('flush.before-transaction');
    const { cursor, quarantined } = await this.parts.projector.apply({
      logId,
      entries: batch.entries,
      from,
      to: batch.end(logId, ownerGen),
    });
    failpoint('flush.after-commit');
    this.cursor = cursor;
    batch.clear();
    this.cursorMoves = 0;
    this.schedule.applied(cursor.appliedSeq);
    this.parts.listener.applied(cursor, quarantined);
    this.succeeded();
  }

  private async recoverFrom(error: unknown): Promise<void> {
    this.isLocated = false;
    this.schedule.hurry();
    // Read it again and go on; but a cursor that keeps moving while nothing is applied is a failure like others.
    if (error instanceof CursorMovedError && this.cursorMoves++ === 0) return;
    const waitMs = this.breaker.failed(isSilence(error));
    this.parts.listener.breaker(this.breaker.state, failureReason(error));
    await this.schedule.pause(waitMs);
    this.breaker.attempt();
    if (this.breaker.state !== 'closed') this.parts.listener.breaker(this.breaker.state, failureReason(error));
  }

  private succeeded(): void {
    if (!this.breaker.hasFailed) return;
    this.breaker.succeeded();
    this.parts.listener.breaker('closed', undefined);
  }

  private async close(): Promise<void> {
    // Both are read-and-forget by now: a failure to close changes nothing that is stored.
    await Promise.allSettled([this.parts.source.close(), this.parts.projector.close()]);
  }

  private get appliedSeq(): number {
    return this.cursor?.appliedSeq ?? 0;
  }
}
