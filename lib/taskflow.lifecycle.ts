import { Inject, Injectable, type LoggerService } from '@nestjs/common';
import { CLOCK, LOGGER, TASKFLOW_OPTIONS, TASK_STORE, TELEMETRY } from './config/taskflow.tokens.js';
import { TaskflowOptions } from './config/taskflow.options.js';
import type { Clock } from './contracts/clock.interface.js';
import type { OpenedLog } from './contracts/event-log.interface.js';
import type { FlushCursor, TaskStore } from './contracts/task-store.interface.js';
import type { TaskSystemStats } from './contracts/task-system.interface.js';
import { ShuttingDownError } from './errors/admission.errors.js';
import { EventLogCorruptError, EventLogError, RepositoryError } from './errors/storage.errors.js';
import { TaskSystemError } from './errors/task-system.error.js';
import { EventLogService } from './engines/local/wal/event-log.service.js';
import { ExecutorService } from './executor/executor.service.js';
import { Ledger } from './engines/local/ledger/ledger.service.js';
import { Overlay } from './engines/local/ledger/overlay.js';
import { TailRestore } from './engines/local/ledger/tail-restore.service.js';
import { FlushService } from './engines/local/projection/flush.service.js';
import { settleWithin } from './engines/local/projection/settle-within.js';
import { IntakeService } from './intake/intake.service.js';
import { Readiness } from './lifecycle/readiness.js';
import { inOwnContext } from './primitives/async-context.js';
import { InterruptibleLoop } from './primitives/interruptible-loop.js';
import { Homecoming } from './engines/local/startup/homecoming.service.js';
import { Housekeeping } from './engines/local/startup/housekeeping.service.js';
import { RecoveryService } from './engines/local/startup/recovery.service.js';
import { StreamService } from './stream/stream.service.js';
import { OpenTelemetryService } from './telemetry/open-telemetry.service.js';
import type { ShutdownOptions } from './shutdown-options.js';
import { failpoint } from './primitives/failpoint.js';

/** How often a start without a database looks for it. */
const DATABASE_RETRY_MS = 1_000;
/** How long a stop waits for the flush; what is left is flushed by the next start. */
const DRAIN_MS = 5_000;

/**
 * Starts the parts in one order and stops them in the other. Nothing needs a clean stop: after `kill -9` the same start
 * finds the same state, a little later.
 */
@Injectable()
export class TaskflowLifecycle {
  private current: TaskSystemStats['status'] = 'starting';
  private starting: Promise<void> | undefined;
  private stopping: Promise<void> | undefined;
  /** Turns until all that only the database knows was taken up. */
  private readonly catchUp: InterruptibleLoop;
  /** Steps of the catch-up that are done. */
  private attached = false;
  private recovered = false;
  private queued = false;
  private log: OpenedLog | undefined;

  constructor(
    @Inject(TASKFLOW_OPTIONS) private readonly options: TaskflowOptions,
    @Inject(CLOCK) private readonly clock: Clock,
    @Inject(LOGGER) private readonly logger: LoggerService,
    @Inject(TELEMETRY) private readonly telemetry: OpenTelemetryService,
    @Inject(TASK_STORE) private readonly store: TaskStore,
    private readonly readiness: Readiness,
    private readonly eventLog: EventLogService,
    private readonly ledger: Ledger,
    private readonly overlay: Overlay,
    private readonly tail: TailRestore,
    private readonly homecoming: Homecoming,
    private readonly recovery: RecoveryService,
    private readonly intake: IntakeService,
    private readonly executor: ExecutorService,
    private readonly streams: StreamService,
    private readonly flush: FlushService,
    private readonly housekeeping: Housekeeping,
  ) {
    this.catchUp = new InterruptibleLoop(clock, {
      intervalMs: DATABASE_RETRY_MS,
      turn: () => this.readOn(),
      onError: (error) => this.logger.warn(`The database was not read yet: ${messageOf(error)}`),
    });
  }

  get status(): TaskSystemStats['status'] {
    if (this.current !== 'running') return this.current;
    const whole =
      this.recovered && this.eventLog.state === 'open' && this.flush.halted === undefined && this.flush.stats().breaker === 'closed';
    return whole ? 'running' : 'degraded';
  }

  /** Idempotent: later calls share the first one's outcome. @throws ShuttingDownError when it was stopped before it was started. */
  start(): Promise<void> {
    if (this.starting === undefined && this.stopping !== undefined) return Promise.reject(new ShuttingDownError());
    this.starting ??= inOwnContext(() => this.startAll()).then(
      () => this.readiness.markReady(),
      async (error: unknown) => {
        this.readiness.failed(error);
        if (EventLogCorruptError.is(error)) this.logger.error(mendingOf(error, this.options.eventLog.eventLogPath));
        await this.closeAll();
        this.current = 'stopped';
        throw error;
      },
    );
    return this.starting;
  }

  /** Idempotent: twice is the same as once. */
  stop(options: ShutdownOptions = {}): Promise<void> {
    this.stopping ??= this.stopAll(options);
    return this.stopping;
  }

  private async startAll(): Promise<void> {
    await this.telemetry.load();
    this.eventLog.onHalted(({ state }) => {
      if (state === 'failed') this.halt();
    });
    this.flush.onApplied(({ appliedSeq }) => this.overlay.applied(appliedSeq));
    this.flush.onHalted((error) => this.refuseNew(error));
    // The log knows no telemetry.
    this.telemetry.gauge('taskflow.eventlog.unflushed_bytes', () => this.eventLog.unflushedBytes);
    this.eventLog.onSync((ms) => this.telemetry.record('taskflow.eventlog.sync_ms', ms));
    const log = await this.eventLog.open(this.ledger);
    this.log = log;
    this.tellTorn();
    this.streams.start();
    const cursor = await this.tryAttach(log);
    await this.tail.fold(cursor === undefined ? log.firstSeq : (cursor?.appliedSeq ?? 0) + 1);
    failpoint('recovery.after-fold');
    await this.recovery.recoverTail();
    if (this.attached) await this.tryRecoverRows();
    this.executor.start();
    this.flush.start(log, cursor);
    this.housekeeping.start();
    this.catchUp.start();
    this.catchUp.wake();
    this.current = 'running';
  }

  private tellTorn(): void {
    const { bytes, copy } = this.eventLog.torn;
    if (bytes > 0)
      this.logger.warn(
        `The event log ended in ${bytes} bytes of an unfinished write, which nobody was told of. They were set aside in ${copy}.`,
      );
  }

  /** @returns undefined when the database cannot be reached: then the log alone says what is to be done. */
  private async tryAttach(log: OpenedLog): Promise<FlushCursor | null | undefined> {
    try {
      return await this.attach(log);
    } catch (error) {
      if (!isAway(error)) throw error;
      this.logger.warn(`Starting without the database: ${error.message}`);
      return undefined;
    }
  }

  private async attach(log: OpenedLog): Promise<FlushCursor | null> {
    const cursor = await this.homecoming.attach(log);
    this.attached = true;
    this.overlay.applied(cursor?.appliedSeq ?? 0);
    this.eventLog.applied(cursor?.appliedSeq ?? 0);
    return cursor;
  }

  private async tryRecoverRows(): Promise<void> {
    await this.recoverRows().catch((error: unknown) => {
      if (!isAway(error)) throw error;
    });
  }

  private async recoverRows(): Promise<void> {
    while (this.tail.incomplete) await this.recovery.takeUpKnown(await this.tail.resolveOrphans());
    await this.recovery.recoverRows();
    this.recovered = true;
  }

  /** One more try to read what the start could not. Ends the loop when nothing is left. */
  private async readOn(): Promise<void> {
    try {
      if (!this.attached) {
        await this.attach(this.log!);
        this.flush.compared();
      }
      if (!this.recovered) await this.recoverRows();
      if (!this.queued) await this.recovery.queueRows();
      this.queued = true;
      void this.catchUp.stop();
    } catch (error) {
      if (isAway(error)) throw error;
      void this.catchUp.stop();
      this.logger.error(`New tasks are refused: ${messageOf(error)}`);
      this.refuseNew(error);
    }
  }

  /** What was accepted stays; new work is refused, since it could not be brought together with what the database has. */
  private refuseNew(error: unknown): void {
    this.readiness.halt(TaskSystemError.is(error) ? error : new RepositoryError('UNAVAILABLE', messageOf(error), 1000, { cause: error }));
  }

  /** The log failed: nothing can be made durable any more. */
  private halt(): void {
    this.executor.haltAll(
      new EventLogError('failed', 'none', 'The event log failed and takes no more entries, so this run ends without one.'),
    );
    this.ledger.halted();
    this.logger.error('The event log failed. Running tasks were aborted; they go on when the process is started again on a sound disk.');
    if (this.options.eventLog.onFailure === 'exit') process.exit(1);
  }

  private async stopAll({ timeoutMs, force }: ShutdownOptions): Promise<void> {
    this.readiness.stop();
    this.current = 'stopping';
    failpoint('shutdown.begin');
    this.homecoming.stop();
    // A start that is under way is let through: what it opened must be closed. One that failed has closed everything.
    const failed = await this.starting?.then(() => false).catch(() => true);
    if (this.starting !== undefined && failed !== true) {
      this.recovery.stop();
      await this.catchUp.stop();
      // A disk that does not answer must not hold up the rest.
      await settleWithin(this.clock, this.options.shutdown.forceKillTimeoutMs, this.intake.stop());
      await this.executor.stop({ timeoutMs: timeoutMs ?? this.options.shutdown.timeoutMs, force: force ?? false });
      failpoint('shutdown.runs-ended');
      await this.streams.stop();
      await this.housekeeping.stop();
      if (force !== true) await this.takeLeave();
      failpoint('shutdown.drained');
      await this.closeAll();
    }
    this.current = 'stopped';
  }

  private async takeLeave(): Promise<void> {
    await this.flush.drain(DRAIN_MS);
    if (!this.attached) return;
    await this.homecoming
      .leave()
      .catch((error: unknown) => this.logger.debug?.(`The database was not told of the end: ${messageOf(error)}`));
  }

  private async closeAll(): Promise<void> {
    // The flush first: a deletion of segments must not outlive the lock.
    const closing = [() => this.flush.stop(), () => this.eventLog.close(), () => this.store.close(), async () => this.telemetry.close()];
    for (const close of closing) {
      await close().catch((error: unknown) => this.logger.warn(`Not closed cleanly: ${messageOf(error)}`));
    }
  }
}

const isAway = (error: unknown): error is RepositoryError => RepositoryError.is(error) && error.code === 'UNAVAILABLE';
const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
const mendingOf = ({ message }: Error, path: string): string =>
  `${message} What is damaged: npx taskflow log verify ${path}. What mends it, and what that would lose: npx taskflow log repair ${path}.`;
