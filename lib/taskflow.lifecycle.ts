import { Inject, Injectable } from '@nestjs/common';
import { ENGINE, TELEMETRY } from './config/taskflow.tokens.js';
import type { Engine } from './contracts/engine.interface.js';
import type { ShutdownOptions, TaskSystemStats } from './contracts/task-system.interface.js';
import { DeadLetterCount } from './dead-letters/dead-letter-count.service.js';
import { ShuttingDownError } from './errors/admission.errors.js';
import { ExecutionEnvironment } from './executor/execution-environment.js';
import { ExecutorService } from './executor/executor.service.js';
import { TaskListeners } from './handlers/task-listeners.js';
import { Readiness } from './lifecycle/readiness.js';
import { inOwnContext } from './primitives/async-context.js';
import { failpoint } from './primitives/failpoint.js';
import { settleWithin } from './primitives/settle-within.js';
import { ManyStreams } from './stream/many/many-streams.service.js';
import { StreamService } from './stream/stream.service.js';
import { OpenTelemetryService } from './telemetry/open-telemetry.service.js';

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

  private hasWarned = false;

  constructor(
    private readonly env: ExecutionEnvironment,
    @Inject(TELEMETRY) private readonly telemetry: OpenTelemetryService,
    @Inject(ENGINE) private readonly engine: Engine,
    private readonly readiness: Readiness,
    private readonly executor: ExecutorService,
    private readonly streams: StreamService,
    private readonly manyStreams: ManyStreams,
    private readonly listeners: TaskListeners,
    private readonly deadLetters: DeadLetterCount,
  ) {
    executor.holdBack();
    readiness.openWith(() => void this.open().catch(() => undefined)); // whoever waits is told
  }

  get status(): TaskSystemStats['status'] {
    if (this.current !== 'running') return this.current;
    return this.engine.degraded().length === 0 ? 'running' : 'degraded';
  }

  /**
   * Opens the engine, which takes up what was left: submits are durable from here on, and nothing runs yet. Idempotent.
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

  /** A task's end was asked for. Whoever waits for it in a hook of the start may keep the start from coming to its end. */
  awaited(): void {
    if (this.current !== 'starting' || this.hasWarned) return;
    this.hasWarned = true;
    this.env.logger.warn(
      "A result was asked for before the application is up. Tasks run when every provider's onApplicationBootstrap is over: do not await a result in a hook or a factory.",
    );
  }

  private async openAll(): Promise<void> {
    await this.telemetry.load();
    this.streams.start();
    this.manyStreams.start();
    await this.engine.open();
    this.deadLetters.start();
  }

  private async notOpened(error: unknown): Promise<never> {
    const reason = this.stoppingWork === undefined ? error : new ShuttingDownError();
    this.readiness.failed(reason);
    await this.closeAll();
    this.current = 'stopped';
    throw reason;
  }

  private run(): void {
    // A stop that came first has let go of everything, or is about to.
    if (this.stoppingWork !== undefined) throw new ShuttingDownError();
    this.engine.started();
    this.executor.release();
    this.listeners.release();
    this.current = 'running';
  }

  /** @returns when no run is under way, and none will be. */
  private async endRuns({ timeoutMs, force }: ShutdownOptions): Promise<void> {
    this.readiness.stop();
    this.current = 'stopping';
    failpoint('shutdown.begin');
    const quiet = this.engine.quiesce();
    if (!(await this.hasOpened())) return;
    await quiet;
    const { creator } = this.engine;
    const { clock, options } = this.env;
    const { forceKillTimeoutMs } = options.shutdown;
    // A disk that does not answer must not hold up the rest.
    await settleWithin(clock, forceKillTimeoutMs, creator.stop());
    await this.executor.stop({ timeoutMs: timeoutMs ?? options.shutdown.timeoutMs, force: force ?? false });
    await settleWithin(clock, forceKillTimeoutMs, creator.handedOver());
    // Their dependencies are there until this is over.
    await this.listeners.stop(force === true ? 0 : LISTENERS_MS);
    failpoint('shutdown.runs-ended');
  }

  private async stopAll(options: ShutdownOptions): Promise<void> {
    await this.stopWork(options);
    if (await this.hasOpened()) {
      await this.deadLetters.stop();
      if (options.force !== true) await this.engine.leave(DRAIN_MS);
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

  private async closeAll(): Promise<void> {
    await this.engine.close();
    this.telemetry.close();
  }
}
