import type { LoggerService } from '@nestjs/common';
import type { Clock } from '../../../contracts/clock.interface.js';
import type { OpenedLog } from '../../../contracts/event-log.interface.js';
import type { FlushCursor } from '../../../contracts/task-store.interface.js';
import { RepositoryError } from '../../../errors/storage.errors.js';
import { TaskSystemError } from '../../../errors/task-system.error.js';
import { EventLogService } from '../wal/event-log.service.js';
import { Overlay } from '../ledger/overlay.js';
import { Readiness } from '../../../lifecycle/readiness.js';
import { TailRestore } from '../ledger/tail-restore.service.js';
import { FlushService } from '../projection/flush.service.js';
import { DatabaseOutage } from '../storage/database-outage.service.js';
import { InterruptibleLoop } from '../../../primitives/interruptible-loop.js';
import { settleWithin } from '../../../primitives/settle-within.js';
import { Homecoming } from './homecoming.service.js';
import { RecoveryService } from './recovery.service.js';

/** How often a start without a database looks for it. */
const RETRY_MS = 1_000;
/** What a start waits for the running tasks that only rows tell of: a custom repository gives all of them in one answer, which may not come. */
const PATIENCE_MS = 15_000;
/** What a stop waits for a reading that is under way. */
const STOP_MS = 5_000;

/** What only the database knows, taken up at the start, or as soon as the database answers: the log's place in it, running tasks, waiting ones. */
export class DatabaseCatchUp {
  private readonly loop: InterruptibleLoop;
  /** Steps that are done. */
  private attached = false;
  private recovered = false;
  private queued = false;
  private log: OpenedLog | undefined;
  /** One at a time: the start may have stopped to wait for it. */
  private recovering: Promise<void> | undefined;

  constructor(
    private readonly clock: Clock,
    private readonly logger: LoggerService,
    private readonly readiness: Readiness,
    private readonly eventLog: EventLogService,
    private readonly overlay: Overlay,
    private readonly tail: TailRestore,
    private readonly homecoming: Homecoming,
    private readonly recovery: RecoveryService,
    private readonly flush: FlushService,
    private readonly outage: DatabaseOutage,
  ) {
    this.loop = new InterruptibleLoop(clock, {
      intervalMs: RETRY_MS,
      turn: () => this.readOn(),
      onError: (error) => this.outage.away('start', messageOf(error)),
    });
  }

  /** The log's place in the database was found. */
  get isAttached(): boolean {
    return this.attached;
  }

  /** Every task that the last process left running was taken up. */
  get isComplete(): boolean {
    return this.recovered;
  }

  /** Every waiting task, too. */
  get isAllRead(): boolean {
    return this.queued;
  }

  /** @returns undefined when the database cannot be reached: then the log alone says what is to be done. */
  async attach(log: OpenedLog): Promise<FlushCursor | null | undefined> {
    this.log = log;
    try {
      return await this.attachTo(log);
    } catch (error) {
      if (!isAway(error)) throw error;
      this.outage.away('start', error.message);
      return undefined;
    }
  }

  /** The running tasks that only rows tell of, where the database is there, and tells in time: else they are taken up beside the work. */
  async recover(): Promise<void> {
    if (!this.attached) return;
    let isAnswered = false;
    let failure: unknown;
    const rows = this.recoverRows()
      .catch((error: unknown) => void (failure = error))
      .finally(() => (isAnswered = true));
    await settleWithin(this.clock, PATIENCE_MS, rows);
    if (failure !== undefined && !isAway(failure)) throw failure;
    if (!isAnswered) this.outage.away('start', `It did not tell of the unfinished tasks within ${PATIENCE_MS / 1000} s`);
  }

  /** Reads what could not be read yet, turn by turn, beside the work. */
  start(): void {
    this.loop.start();
    this.loop.wake();
  }

  stop(): Promise<void> {
    return settleWithin(this.clock, STOP_MS, this.loop.stop());
  }

  private async attachTo(log: OpenedLog): Promise<FlushCursor | null> {
    const cursor = await this.homecoming.attach(log);
    this.attached = true;
    this.overlay.applied(cursor?.appliedSeq ?? 0);
    this.eventLog.applied(cursor?.appliedSeq ?? 0);
    return cursor;
  }

  private recoverRows(): Promise<void> {
    this.recovering ??= this.takeUpRows().finally(() => (this.recovering = undefined));
    return this.recovering;
  }

  private async takeUpRows(): Promise<void> {
    while (this.tail.incomplete) await this.recovery.takeUpKnown(await this.tail.resolveOrphans());
    await this.recovery.recoverRows();
    this.recovered = true;
  }

  /** One more try to read what the start could not. Ends the loop when nothing is left. */
  private async readOn(): Promise<void> {
    try {
      if (!this.attached) {
        await this.attachTo(this.log!);
        this.flush.compared();
      }
      if (!this.recovered) await this.recoverRows();
      if (!this.queued) await this.recovery.queueRows();
      this.queued = true;
      this.outage.back('start');
      void this.loop.stop();
    } catch (error) {
      if (isAway(error)) throw error;
      void this.loop.stop();
      this.logger.error(`New tasks are refused: ${messageOf(error)}`);
      this.readiness.halt(refusalOf(error));
    }
  }
}

/** What was accepted stays; new work is refused with this, since it could not be brought together with what the database has. */
export const refusalOf = (error: unknown): TaskSystemError =>
  TaskSystemError.is(error) ? error : new RepositoryError('UNAVAILABLE', messageOf(error), 1000, { cause: error });

const isAway = (error: unknown): error is RepositoryError => RepositoryError.is(error) && error.code === 'UNAVAILABLE';
const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
