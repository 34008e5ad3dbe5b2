import { Inject, Injectable } from '@nestjs/common';
import { ENGINE } from '../config/taskflow.tokens.js';
import type { ChangeFeed } from '../contracts/change-feed.interface.js';
import type { FactPort } from '../contracts/fact-port.interface.js';
import type { TaskId } from '../contracts/ids.js';
import type { Engine } from '../contracts/engine.interface.js';
import type { LiveRun } from '../contracts/run-liveness.interface.js';
import type { TaskHistory } from '../contracts/task-history.interface.js';
import type { ShutdownOptions } from '../contracts/task-system.interface.js';
import type { StartedWork, WorkFeed } from '../contracts/work-feed.interface.js';
import { snapshotOf } from '../domain/task-snapshot.js';
import { type CancelRequest, changed, type TaskState } from '../domain/task-state.js';
import { ShuttingDownError } from '../errors/admission.errors.js';
import { TaskCancelledError } from '../errors/execution.errors.js';
import { AttemptRunner, isInsideAttempt } from './attempt-runner.js';
import { ExecutionCounters } from './execution-counters.js';
import { ExecutionEnvironment } from './execution-environment.js';
import { InterceptorChain } from '../handlers/interceptor-chain.js';
import { HandlerRegistry } from '../handlers/handler-registry.js';
import { Heartbeat } from './heartbeat.js';
import { IdleWatch } from './idle-watch.js';
import { HandlerNames } from './handler-names.js';
import { RunConclusion } from './run-conclusion.js';
import { type RunSurroundings, TaskRun } from './task-run.js';
import { RunReport } from './run-report.js';
import { inOwnContext } from '../primitives/async-context.js';
import { failpoint } from '../primitives/failpoint.js';

type Phase = 'held' | 'idle' | 'running' | 'stopping' | 'aborting' | 'halted' | 'stopped';

/** What of the engine runs need. */
export interface ExecutorEngine extends Pick<Engine, 'facts' | 'work' | 'liveness'> {
  readonly queries: TaskHistory;
  readonly changes: Pick<ChangeFeed, 'onCancelRequested' | 'onRunsLost' | 'onHalted'>;
}

/** Runs tasks: takes them from the queue as slots come free, calls their handlers, and makes the entries that end their runs. */
@Injectable()
export class ExecutorService {
  private phase: Phase = 'idle';
  private isTaking = false;
  /** `start()` was called while it was held back. */
  private isAskedFor = false;
  private stopping: Promise<void> | undefined;
  private haltReason: Error | undefined;
  private readonly runs = new Map<TaskId, TaskRun>();
  private readonly facts: FactPort;
  private readonly feed: WorkFeed;
  private readonly names: HandlerNames;
  private readonly idle: IdleWatch;
  private readonly shared: RunSurroundings;
  private readonly runner: AttemptRunner;
  private readonly conclusion: RunConclusion;
  private readonly heartbeat: Heartbeat;
  private readonly report: RunReport;

  constructor(
    @Inject(ExecutionEnvironment) private readonly env: ExecutionEnvironment,
    @Inject(ENGINE) engine: ExecutorEngine,
    @Inject(HandlerRegistry) private readonly registry: HandlerRegistry,
    @Inject(InterceptorChain) interceptors: InterceptorChain,
  ) {
    const { facts, work: feed, changes } = engine;
    this.facts = facts;
    this.feed = feed;
    this.shared = { env, facts, counters: new ExecutionCounters() };
    this.idle = new IdleWatch(env.clock, () => this.runs.size === 0 && feed.starting === 0);
    this.names = new HandlerNames(registry, feed, env.logger);
    this.runner = new AttemptRunner(this.shared, engine.queries, interceptors, () => this.phase !== 'running');
    this.conclusion = new RunConclusion(this.shared);
    this.report = new RunReport(this.shared);
    this.heartbeat = new Heartbeat(env, engine.liveness, () => this.runs.values());
    feed.serve({ begin: (work) => this.begin(work), waits: (name) => this.names.look(name), settled: () => this.idle.check() });
    changes.onCancelRequested((taskId, request) => this.cancelRequested(taskId, request));
    changes.onRunsLost((runs, reason) => this.lost(runs, reason));
    changes.onHalted((reason) => this.haltAll(reason));
  }

  /** Runs under way, those included that ignore their signal and are not given up yet. */
  get running(): number {
    return this.runs.size;
  }

  /** Counts since the process started. */
  get stats(): Readonly<ExecutionCounters> {
    return this.shared.counters;
  }

  /** Nothing is taken before `release`, whoever calls `start`. */
  holdBack(): void {
    if (this.phase === 'idle') this.phase = 'held';
  }

  /** The system is up: begins to take work where `executor.enabled` says so, or `start` was called before. */
  release(): void {
    if (this.phase === 'held') this.phase = 'idle';
    if (this.env.options.executor.enabled || this.isAskedFor) this.start();
    else this.open();
  }

  /**
   * Begins to take work by hand: needed with `executor.enabled: false` only. Called before the system is up, it takes effect when it is;
   * after a stop it does nothing. Twice is once.
   */
  start(): void {
    this.isAskedFor = true;
    this.open();
    if (this.phase !== 'running' || this.isTaking) return;
    this.isTaking = true;
    this.heartbeat.start();
    this.feed.open();
  }

  /** True where a run calls, as far as it can be seen; false when none is under way. To be asked while it stops. */
  get isInsideRun(): boolean {
    return this.runs.size > 0 && isInsideAttempt();
  }

  /** This process makes no more facts: nothing is started, running signals fire with `reason`, nothing is written. */
  haltAll(reason: Error): void {
    this.haltReason = reason;
    if (['running', 'idle', 'held'].includes(this.phase)) this.phase = 'halted';
    void this.feed.close();
    for (const run of this.runs.values()) run.abort('halted', reason);
  }

  /** Lets running tasks finish, then fires their signals, then gives up those that ignore them. Resolves when no run is under way, or those left were given up. Twice is once. */
  stop(options: ShutdownOptions = {}): Promise<void> {
    return (this.stopping ??= this.shutDown(options));
  }

  private cancelRequested(taskId: TaskId, request: CancelRequest): void {
    const run = this.runs.get(taskId);
    if (run === undefined || run.isOver) return;
    run.cancelRequest ??= request;
    // Who listens for a signal may be anybody, and is not called amid what the engine tells.
    queueMicrotask(() => run.abort('cancel', new TaskCancelledError(snapshotOf(changed(run.task, { cancelRequest: request })))));
  }

  /** Others may run these tasks by now: their signals fire, and nothing more of them is written. */
  private lost(runs: readonly LiveRun[], reason: Error): void {
    for (const { taskId, fence } of runs) {
      const run = this.runs.get(taskId);
      if (run?.task.fence === fence) run.abort('fenced', reason);
    }
  }

  private async shutDown({ timeoutMs, force = false }: ShutdownOptions): Promise<void> {
    const { shutdown } = this.env.options;
    this.phase = 'stopping';
    await this.feed.close();
    const isIdle = await this.idle.within(force ? 0 : (timeoutMs ?? shutdown.timeoutMs));
    if (!isIdle) await this.abortAll(shutdown.forceKillTimeoutMs);
    await this.heartbeat.stop();
    this.phase = 'stopped';
  }

  private async abortAll(forceKillTimeoutMs: number): Promise<void> {
    this.phase = 'aborting';
    for (const run of this.runs.values()) run.abort('shutdown', new ShuttingDownError());
    // Runs that ignore it are abandoned when that time is over; their entries then need a moment.
    if (await this.idle.within(forceKillTimeoutMs)) return;
    for (const run of this.runs.values()) run.dropOutput();
    if (await this.idle.within(forceKillTimeoutMs)) return;
    // The log does not answer. What is left stays `running` in it, and is recovered at the next start.
    for (const run of this.runs.values()) run.finish();
    this.runs.clear();
  }

  /** From here on names are known, and tasks that wait for a handler are told of. */
  private open(): void {
    if (this.phase !== 'idle') return;
    this.phase = 'running';
    this.names.open();
    this.env.telemetry.gauge('taskflow.tasks.running', () => this.runs.size);
    this.env.telemetry.gauge('taskflow.tasks.queued', () => this.feed.size.queued);
  }

  private begin({ task, slot, previousEvents, validated }: StartedWork): void {
    const handler = this.registry.require(task.name);
    const run = new TaskRun(
      { task, handler, slot, validated, previousEvents, attributes: this.report.attributesOf(task.name) },
      this.shared,
    );
    this.feed.began(task.id);
    this.runs.set(task.id, run);
    // What was decided while the start was on its way: such a run ends without a call of its handler.
    if (this.haltReason !== undefined) run.abort('halted', this.haltReason);
    else if (this.phase === 'aborting' || this.phase === 'stopped') run.abort('shutdown', new ShuttingDownError());
    else if (this.facts.cancelRequestOf(task.id) != null) run.abort('cancel', new TaskCancelledError(snapshotOf(task)));
    void inOwnContext(this.perform, run); // never rejects
  }

  private readonly perform = async (run: TaskRun): Promise<void> => {
    try {
      await this.report.span(run, async (span) => {
        const settlement = await this.runner.attempt(run);
        failpoint('completion.after-handler');
        const concluded = await this.conclusion.conclude(run, settlement);
        if (concluded !== undefined && concluded.task.status === 'created') this.waitAgain(concluded.task);
        this.report.ended(run, concluded, span);
      });
    } catch (error) {
      this.env.logger.error(`The run of task ${run.task.id} broke off.`, error);
    } finally {
      this.ended(run);
    }
  };

  private waitAgain(task: TaskState): void {
    if (this.phase === 'running') this.feed.offer(task);
  }

  private ended(run: TaskRun): void {
    run.finish();
    if (this.runs.get(run.task.id) === run) this.runs.delete(run.task.id);
    this.feed.ended(run.task.id);
    failpoint('completion.before-release');
    run.start.slot.release();
    this.idle.check();
  }
}
