import type { TaskflowOptions } from '../../../config/taskflow.options.js';
import type { Clock } from '../../../contracts/clock.interface.js';
import type { OpenedLog, Watermark } from '../../../contracts/event-log.interface.js';
import type { FlushCursor, TaskStore } from '../../../contracts/task-store.interface.js';
import type { TaskSystemStats } from '../../../contracts/task-system.interface.js';
import type { Telemetry } from '../../../contracts/telemetry.interface.js';
import { EventLogService } from '../wal/event-log.service.js';
import { AppliedWaiters } from './applied-waiters.js';
import { FlushLag } from './flush-lag.js';
import { FlushLogger } from './flush-logger.js';
import type { BreakerState, Flusher, FlushListener } from './flusher.interface.js';
import { FlusherFactory } from './flusher.factory.js';
import { RetentionRequests } from './retention-requests.js';
import { settleWithin } from '../../../primitives/settle-within.js';
import { failpoint } from '../../../primitives/failpoint.js';

export type FlushStats = TaskSystemStats['flush'];

/**
 * Carries the log into the database, and tells when it got there. The work is done by a child process, or inline where
 * the storage cannot cross to one; the log may let go of an entry only after it was reported here.
 */
export class FlushService {
  private haltError: Error | undefined;
  private flusher: Flusher | undefined;
  private retention: RetentionRequests | undefined;
  private readonly lag = new FlushLag();
  private readonly waiters: AppliedWaiters;
  private readonly appliedListeners: ((cursor: FlushCursor) => void)[] = [];
  private readonly haltedListeners: ((error: Error) => void)[] = [];
  private logId = '';
  private appliedSeq = 0;
  /** False while nobody could read how far the database is: the first report is then no progress. */
  private isPositionKnown = false;
  private breakerState: BreakerState = 'closed';
  private deadEntries = 0;
  private isStopped = false;
  /** False while the start has not compared log and database: the frame at which they meet must stay. */
  private isCompared = false;

  constructor(
    private readonly options: TaskflowOptions,
    private readonly clock: Clock,
    private readonly eventLog: EventLogService,
    private readonly store: TaskStore,
    private readonly telemetry: Telemetry,
    private readonly flushers: FlusherFactory,
    private readonly logger: FlushLogger,
  ) {
    this.waiters = new AppliedWaiters(clock);
  }

  /** Why flushing ended for good: submits are to be refused with it, and nothing is deleted. */
  get halted(): Error | undefined {
    return this.haltError;
  }

  /** The database refuses rows or does not answer, and is tried again from time to time. */
  get isRefused(): boolean {
    return this.breakerState !== 'closed';
  }

  /** The process that writes rows dies before it gets anything done, and is replaced. */
  get isWorkerDying(): boolean {
    return this.flusher?.isFailing === true;
  }

  /**
   * Begins to flush an opened log. Returns at once, whether or not there is a database.
   * @param from where the database is; null: it holds nothing of this log; undefined: it could not be read. The loop reads
   * and checks the position itself before it writes.
   */
  start(log: OpenedLog, from: FlushCursor | null | undefined): void {
    this.logId = log.logId;
    this.isPositionKnown = from !== undefined;
    this.isCompared = this.isPositionKnown;
    this.appliedSeq = from?.appliedSeq ?? 0;
    this.retention = new RetentionRequests(log.logId, this.eventLog, this.store, (error) => this.logger.notRetained(error));
    const watermark = this.eventLog.watermark();
    this.retention.wroteIn(watermark.segment);
    this.telemetry.gauge('taskflow.flush.lag_ms', () => this.lag.lagMs(this.clock.monotonic()));
    void this.dateBacklog(log, watermark.seq);
    void this.countDeadEntries();
    this.flusher = this.flushers.create(log, this.store, this.eventLog.whileHeld);
    this.eventLog.onDurable((durable) => this.durable(durable));
    this.flusher.start(watermark, this.listener);
  }

  /** The start has found the log's place in a database that it could not read at first: old files may go from here on. */
  compared(): void {
    this.isCompared = true;
    if (this.mayDelete()) this.retention?.applied(this.appliedSeq);
  }

  /** Calls back whenever the database came further. Listeners must not throw. */
  onApplied(listener: (cursor: FlushCursor) => void): void {
    this.appliedListeners.push(listener);
  }

  onHalted(listener: (error: Error) => void): void {
    this.haltedListeners.push(listener);
  }

  /** Flushes everything that is durable now. @returns false when it is not in the database after `withinMs`. */
  async drain(withinMs: number): Promise<boolean> {
    const target = this.eventLog.durableSeq;
    if (this.appliedSeq >= target) return true;
    if (this.flusher === undefined || this.haltError !== undefined || this.isStopped) return false;
    this.flusher.flushNow(this.eventLog.watermark());
    return this.waiters.reached(target, withinMs);
  }

  /** Ends after the batch in flight, or by force after `shutdown.forceKillTimeoutMs`. Twice is once. */
  async stop(): Promise<void> {
    this.isStopped = true;
    const withinMs = this.options.shutdown.forceKillTimeoutMs;
    await this.flusher?.stop(withinMs);
    this.waiters.giveUp();
    if (this.retention !== undefined) await settleWithin(this.clock, withinMs, this.retention.settled());
  }

  stats(): FlushStats {
    return {
      workerPid: this.flusher?.pid ?? null,
      appliedSeq: this.appliedSeq,
      lagMs: this.lag.lagMs(this.clock.monotonic()),
      breaker: this.breakerState,
      restarts: this.flusher?.restarts ?? 0,
      deadEntries: this.deadEntries,
    };
  }

  private readonly listener: FlushListener = {
    applied: (cursor, quarantined) => this.applied(cursor, quarantined),
    breaker: (state, reason) => this.breakerChanged(state, reason),
    halted: (error) => this.halt(error),
  };

  private durable(watermark: Watermark): void {
    if (this.isStopped) return;
    this.lag.durable(watermark.seq, this.clock.monotonic());
    this.retention?.wroteIn(watermark.segment);
    this.flusher?.advance(watermark);
  }

  private applied(cursor: FlushCursor, quarantined: number): void {
    const entries = this.isPositionKnown ? cursor.appliedSeq - this.appliedSeq : 0;
    this.isPositionKnown = true;
    this.appliedSeq = cursor.appliedSeq;
    this.lag.applied(cursor.appliedSeq);
    failpoint('flush.before-release');
    this.eventLog.applied(cursor.appliedSeq);
    for (const listener of this.appliedListeners) listener(cursor);
    this.waiters.applied(cursor.appliedSeq);
    if (this.mayDelete()) this.retention?.applied(cursor.appliedSeq);
    if (entries > 0) this.tell(entries);
    if (quarantined > 0) void this.countDeadEntries();
  }

  /** A log that was closed may belong to another process by now; one whose disk failed is left as it is. */
  private mayDelete(): boolean {
    const { state } = this.eventLog;
    return this.isCompared && !this.isStopped && (state === 'open' || state === 'full');
  }

  private tell(entries: number): void {
    this.telemetry.count('taskflow.flush.entries', entries);
    void this.telemetry.span('taskflow.flush.batch', {}, async (span) => span.outcome('applied')).catch(() => undefined);
  }

  private breakerChanged(state: BreakerState, reason: string | undefined): void {
    const before = this.breakerState;
    this.breakerState = state;
    // Probes that fail are no news; nor is a new worker that has not tried often enough.
    if (state === 'open' && before === 'closed') this.logger.databaseAway(reason);
    if (state === 'closed' && before !== 'closed' && reason === undefined) this.logger.databaseBack();
  }

  private halt(error: Error): void {
    this.haltError = error;
    this.logger.halted(error);
    this.waiters.giveUp();
    for (const listener of this.haltedListeners) listener(error);
  }

  /** The age of what the last process left: it is in the log. */
  private async dateBacklog(log: OpenedLog, headSeq: number): Promise<void> {
    const fromSeq = Math.max(this.appliedSeq + 1, log.firstSeq);
    this.lag.begin(headSeq, fromSeq <= headSeq ? this.monotonicOf(log.lastAt) : undefined);
    if (fromSeq > headSeq) return;
    try {
      for await (const frame of this.eventLog.scan(fromSeq)) {
        const at = frame.entries[0]?.at;
        if (at !== undefined) this.lag.backlogSince(this.monotonicOf(at));
        return;
      }
    } catch {
      // The flush loop reads the same place, and says why it cannot.
    }
  }

  /** From here on the age is measured by a clock that nobody sets. */
  private monotonicOf(at: number): number {
    return this.clock.monotonic() - Math.max(0, this.clock.now() - at);
  }

  private async countDeadEntries(): Promise<void> {
    try {
      if (this.store.isOpen) this.deadEntries = await this.store.deadEntryCount(this.logId);
    } catch (error) {
      this.logger.notCounted(error);
    }
  }
}
