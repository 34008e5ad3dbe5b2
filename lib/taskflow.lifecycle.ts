import { Inject, Injectable, type LoggerService } from '@nestjs/common';
import { CLOCK, LOGGER, TASK_CREATOR, TASKFLOW_OPTIONS, TASK_STORE, TELEMETRY } from './config/taskflow.tokens.js';
import { TaskflowOptions } from './config/taskflow.options.js';
import type { Clock } from './contracts/clock.interface.js';
import type { TaskCreator } from './contracts/task-creator.interface.js';
import type { TaskStore } from './contracts/task-store.interface.js';
import type { ShutdownOptions, TaskSystemStats } from './contracts/task-system.interface.js';
import { ShuttingDownError } from './errors/admission.errors.js';
import { EventLogError } from './errors/storage.errors.js';
import { EventLogService } from './engines/local/wal/event-log.service.js';
import { ExecutorService } from './executor/executor.service.js';
import { Ledger } from './engines/local/ledger/ledger.service.js';
import { Overlay } from './engines/local/ledger/overlay.js';
import { TailRestore } from './engines/local/ledger/tail-restore.service.js';
import { DatabaseOutage } from './engines/local/storage/database-outage.service.js';
import { FlushService } from './engines/local/projection/flush.service.js';
import { settleWithin } from './primitives/settle-within.js';
import { Readiness } from './lifecycle/readiness.js';
import { TaskListeners } from './handlers/task-listeners.js';
import { inOwnContext } from './primitives/async-context.js';
import { DatabaseCatchUp, refusalOf } from './engines/local/startup/database-catch-up.service.js';
import { Homecoming } from './engines/local/startup/homecoming.service.js';
import { Housekeeping } from './engines/local/startup/housekeeping.service.js';
import { RecoveryService } from './engines/local/startup/recovery.service.js';
import { StartNotices } from './engines/local/startup/start-notices.service.js';
import { StreamService } from './stream/stream.service.js';
import { OpenTelemetryService } from './telemetry/open-telemetry.service.js';
import { DegradationService } from './degradation.service.js';
import { failpoint } from './primitives/failpoint.js';

/** How long a stop waits for the flush; what is left is flushed by the next start. */
const DRAIN_MS = 5_000;
/** How long a stop waits for `@OnTask` listeners. */
const LISTENERS_MS = 2_000;

/**
 * Starts the parts in one order and stops them in the other. Nothing needs a clean stop: after `kill -9` the same start
 * finds the same state, a little later.
 */
@Injectable()
export class TaskflowLifecycle {
  private current: TaskSystemStats['status'] = 'starting';
  private opening: Promise<void> | undefined;
  private starting: Promise<void> | undefined;
  private stoppingWork: Promise<void> | undefined;
  private stopping: Promise<void> | undefined;

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
    private readonly notices: StartNotices,
    private readonly homecoming: Homecoming,
    private readonly recovery: RecoveryService,
    private readonly catchUp: DatabaseCatchUp,
    @Inject(TASK_CREATOR) private readonly creator: TaskCreator,
    private readonly executor: ExecutorService,
    private readonly streams: StreamService,
    private readonly flush: FlushService,
    private readonly housekeeping: Housekeeping,
    private readonly listeners: TaskListeners,
    private readonly outage: DatabaseOutage,
    private readonly degradation: DegradationService,
  ) {
    executor.holdBack();
    readiness.openWith(() => void this.open().catch(() => undefined)); // whoever waits is told
  }

  get status(): TaskSystemStats['status'] {
    if (this.current !== 'running') return this.current;
    return this.degradation.list().length === 0 ? 'running' : 'degraded';
  }

  /**
   * Opens log and database, and takes up what was left: submits are durable from here on, and nothing runs yet. Idempotent.
   * @throws ShuttingDownError when it was stopped before.
   */
  open(): Promise<void> {
    if (this.opening === undefined && this.stoppingWork !== undefined) return Promise.reject(new ShuttingDownError());
    // The promise is kept for ever, and on Node 20 and 22 it would keep the caller's stores.
    this.opening ??= inOwnContext(() =>
      this.openAll().then(
        () => this.readiness.markReady(),
        (error: unknown) => this.notOpened(error),
      ),
    );
    return this.opening;
  }

  /** Opens what is not open, and begins to run tasks. Idempotent: later calls share the first one's outcome. @throws as `open`. */
  start(): Promise<void> {
    this.starting ??= inOwnContext(() => this.open().then(() => this.run()));
    return this.starting;
  }

  /** The first half of `stop`: new work is refused and running tasks end; what they need is still there. Idempotent. */
  stopWork(options: ShutdownOptions = {}): Promise<void> {
    this.stoppingWork ??= this.endRuns(options);
    return this.stoppingWork;
  }

  /** Idempotent: twice is the same as once. */
  stop(options: ShutdownOptions = {}): Promise<void> {
    this.stopping ??= this.stopAll(options);
    return this.stopping;
  }

  /** A task's end was asked for. */
  awaited(): void {
    if (this.current === 'starting') this.notices.awaitedEarly();
  }

  private async openAll(): Promise<void> {
    await this.telemetry.load();
    this.notices.begin();
    this.eventLog.onHalted((error) => {
      if (error.state === 'failed') this.halt(error);
    });
    this.flush.onApplied(({ appliedSeq }) => this.overlay.applied(appliedSeq));
    this.flush.onHalted((error) => this.readiness.halt(refusalOf(error)));
    // The log knows no telemetry.
    this.telemetry.gauge('taskflow.eventlog.unflushed_bytes', () => this.eventLog.unflushedBytes);
    this.eventLog.onSync((ms) => this.telemetry.record('taskflow.eventlog.sync_ms', ms));
    const log = await this.eventLog.open(this.ledger);
    this.notices.opened();
    this.streams.start();
    const cursor = await this.catchUp.attach(log);
    await this.tail.fold(cursor === undefined ? log.firstSeq : (cursor?.appliedSeq ?? 0) + 1);
    failpoint('recovery.after-fold');
    await this.recovery.recoverTail();
    await this.catchUp.recover();
    this.flush.start(log, cursor);
    this.housekeeping.start();
    this.catchUp.start();
  }

  private async notOpened(error: unknown): Promise<never> {
    const reason = this.stoppingWork === undefined ? error : new ShuttingDownError();
    this.readiness.failed(reason);
    this.notices.failed(error);
    await this.closeAll();
    this.current = 'stopped';
    throw reason;
  }

  private run(): void {
    // A stop that came first has let go of everything, or is about to.
    if (this.stoppingWork !== undefined) throw new ShuttingDownError();
    this.notices.started(this.catchUp.isAllRead);
    this.executor.release();
    this.listeners.release();
    this.current = 'running';
  }

  /** The log failed: nothing can be made durable any more. */
  private halt(error: EventLogError): void {
    this.ledger.halted(
      new EventLogError('failed', 'none', 'The event log failed and takes no more entries, so this run ends without one.'),
    );
    this.logger.error(`${error.message} Running tasks were aborted; they go on when a process is started on this log, on a sound disk.`);
    if (this.options.eventLog.onFailure === 'exit') process.exit(1);
  }

  /** @returns when no run is under way, and none will be. */
  private async endRuns({ timeoutMs, force }: ShutdownOptions): Promise<void> {
    this.readiness.stop();
    this.current = 'stopping';
    failpoint('shutdown.begin');
    this.homecoming.stop();
    this.eventLog.giveUpWaiting();
    // An opening that is under way is let through: what it opened must be closed.
    if (!(await this.hasOpened())) return;
    this.recovery.stop();
    await this.catchUp.stop();
    const { forceKillTimeoutMs } = this.options.shutdown;
    // A disk that does not answer must not hold up the rest.
    await settleWithin(this.clock, forceKillTimeoutMs, this.creator.stop());
    await this.executor.stop({ timeoutMs: timeoutMs ?? this.options.shutdown.timeoutMs, force: force ?? false });
    await settleWithin(this.clock, forceKillTimeoutMs, this.creator.handedOver());
    // Their dependencies are there until this is over.
    await this.listeners.stop(force === true ? 0 : LISTENERS_MS);
    failpoint('shutdown.runs-ended');
  }

  private async stopAll(options: ShutdownOptions): Promise<void> {
    await this.stopWork(options);
    if (await this.hasOpened()) {
      await this.housekeeping.stop();
      if (options.force !== true) await this.takeLeave();
      failpoint('shutdown.drained');
      this.streams.refuse();
      await this.closeAll();
      // Clients are asked to come back last, since they do so in two seconds: this process must have let go of its port by then.
      await this.streams.stop();
    }
    this.current = 'stopped';
  }

  /** False where nothing was opened, or the opening failed: then it has closed everything. */
  private async hasOpened(): Promise<boolean> {
    if (this.opening === undefined) return false;
    return this.opening.then(
      () => true,
      () => false,
    );
  }

  private async takeLeave(): Promise<void> {
    await this.flush.drain(DRAIN_MS);
    if (!this.catchUp.isAttached) return;
    await this.homecoming
      .leave()
      .catch((error: unknown) => this.logger.debug?.(`The database was not told of the end: ${messageOf(error)}`));
  }

  private async closeAll(): Promise<void> {
    this.outage.stop();
    // The flush first: a deletion of segments must not outlive the lock.
    const closing = [() => this.flush.stop(), () => this.eventLog.close(), () => this.store.close(), async () => this.telemetry.close()];
    for (const close of closing) {
      await close().catch((error: unknown) => this.logger.warn(`Not closed cleanly: ${messageOf(error)}`));
    }
  }
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
