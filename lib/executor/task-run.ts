import type { AsyncResource } from 'node:async_hooks';
import type { Timer } from '../contracts/clock.interface.js';
import type { CancelRequest, FactPort } from '../contracts/fact-port.interface.js';
import type { RegisteredHandler } from '../contracts/handler-registry.interface.js';
import type { TaskAttempt, TaskContext } from '../contracts/task-handler.interface.js';
import type { TaskEvent } from '../contracts/task-event.interface.js';
import type { TaskErrorInfo } from '../contracts/task.interface.js';
import type { TelemetryAttributes } from '../contracts/telemetry.interface.js';
import type { SlotLease } from '../contracts/work-feed.interface.js';
import type { TaskState } from '../domain/task-state.js';
import { TaskTimeoutError } from '../errors/execution.errors.js';
import { callerContext } from '../primitives/async-context.js';
import { errorInfoOf } from './error-info.js';
import type { ExecutionCounters } from './execution-counters.js';
import type { ExecutionEnvironment } from './execution-environment.js';
import type { Settlement, Verdict } from './outcome-decision.js';
import { type OutputOwner, RunOutput, runIsOver } from './run-output.js';

/** What a run shares with all others. */
export interface RunSurroundings {
  readonly env: ExecutionEnvironment;
  readonly facts: FactPort;
  readonly counters: ExecutionCounters;
}

export interface RunStart {
  /** As of its `start` entry: running. */
  readonly task: TaskState;
  readonly handler: RegisteredHandler;
  readonly slot: SlotLease;
  /** What `handle` gets, when it was validated before. */
  readonly validated: { readonly value: unknown } | undefined;
  readonly previousEvents: readonly TaskEvent[];
  readonly attributes: TelemetryAttributes;
}

const SILENT: Settlement = { kind: 'silent' };
/** Room for the members beside the error in a `retry` entry. */
const ENVELOPE_BYTES = 256;

/**
 * One run of a task: its signal, its clock, and the verdict that is fixed when the signal fires. The first verdict holds, with two
 * exceptions: after `halted` or `fenced` nothing is written, whatever was decided before.
 */
export class TaskRun implements OutputOwner {
  verdict: Verdict | undefined;
  verdictError: TaskErrorInfo | undefined;
  /** What the attempt failed with, as far as it did: stacks go to the log only. */
  thrown: unknown;
  /** Somebody asked for its end, and the request is durable. */
  cancelRequest: CancelRequest | undefined;
  /** Whatever interrupted the run before is dealt with: `handle` was called, or need not be. */
  isRecovered: true | undefined;
  /** Called once when the signal fires: a generator is told to return. */
  onAbort: (() => void) | undefined;
  readonly startedAt: number;

  private controller: AbortController | undefined;
  /** Both are made when they are first needed, once per run. */
  context: TaskContext | undefined;
  attempt: TaskAttempt | undefined;
  /** Where the handler is called, or the signal was first asked for: who aborts may be anybody, such as an administrator's request. */
  private listeners: AsyncResource | undefined;
  private abortReason: unknown;
  private output: RunOutput | undefined;
  private timeout: Timer | undefined;
  private grace: Timer | undefined;
  private settleWith: ((settlement: Settlement) => void) | undefined;
  private hasSettled = false;
  private over = false;

  constructor(
    readonly start: RunStart,
    private readonly shared: RunSurroundings,
  ) {
    this.startedAt = shared.env.clock.monotonic();
  }

  get task(): TaskState {
    return this.start.task;
  }

  /** Made when it is first looked at, as most handlers never do. */
  get signal(): AbortSignal {
    if (this.controller === undefined) {
      this.controller = new AbortController();
      this.listeners ??= callerContext();
      if (this.isAborted) this.controller.abort(this.abortReason);
    }
    return this.controller.signal;
  }

  /** Interceptors may have opened a context: whoever listens for the signal is called back in it. */
  listensHere(): void {
    this.listeners = callerContext();
  }

  /** What the signal fired with first. */
  get reason(): unknown {
    return this.abortReason;
  }

  get isAborted(): boolean {
    return this.verdict !== undefined;
  }

  /** Nothing more is written for this run. */
  get isOver(): boolean {
    return this.over;
  }

  get isSettled(): boolean {
    return this.hasSettled;
  }

  /** Starts the timeout; `settled` is called exactly once. */
  open(settled: (settlement: Settlement) => void): void {
    this.settleWith = settled;
    this.armTimeout();
  }

  /** The handler's answer, or its abandonment: whichever is first counts. */
  settle(settlement: Settlement): void {
    if (this.hasSettled) {
      this.shared.counters.lateWrites += 1;
      return;
    }
    this.hasSettled = true;
    this.timeout?.cancel();
    this.grace?.cancel();
    this.settleWith?.(settlement);
  }

  /** Fires the signal. Nothing happens once the handler has settled, or when an earlier verdict holds. */
  abort(verdict: Verdict, reason: unknown): void {
    const isFinal = verdict === 'halted' || verdict === 'fenced';
    if (isFinal) this.finish(reason);
    if (this.isSettled || (this.verdict !== undefined && !isFinal && !this.isRefusedCancel(verdict))) return;
    const isFirst = this.verdict === undefined;
    this.verdict = verdict;
    if (isFirst) this.fire(reason);
    this.grace?.cancel();
    this.grace = this.shared.env.clock.after(this.shared.env.options.shutdown.forceKillTimeoutMs, () => this.graceOver(), true);
  }

  /** For an entry that cannot be stored: the attempt fails, and is told so at once. */
  failAttempt(error: unknown): void {
    if (this.isAborted || this.isSettled) return;
    // What an attempt emits may differ from one to the next, unlike its input: so this is worth another one.
    this.verdictError = { ...this.errorInfo(error), retryable: true };
    this.abort('entry', error);
  }

  fenced(): void {
    this.shared.counters.lateWrites += 1;
    this.abort('fenced', runIsOver());
  }

  halted(error: unknown): void {
    this.abort('halted', error);
  }

  /** Where `progress` and `custom` entries go. */
  write(type: 'progress' | 'custom', body: string): Promise<void> {
    return this.outputOrRefuse().add(type, body);
  }

  /** For the generator pump: where entries go that nobody waits for one by one. */
  outputOrRefuse(): RunOutput {
    if (this.over || this.isSettled) {
      this.shared.counters.lateWrites += 1;
      throw runIsOver();
    }
    return (this.output ??= new RunOutput(this.shared.facts, this.task, this, this.shared.env.clock));
  }

  /** Undefined when everything that this run wrote is durable. */
  undrained(): Promise<void> | undefined {
    return this.output === undefined || this.output.pendingEntries === 0 ? undefined : this.output.drained();
  }

  /** Gives up what waits for room in the log, so that the run can end. */
  dropOutput(): void {
    this.output?.close(runIsOver());
  }

  /** Nothing more is written. */
  finish(reason?: unknown): void {
    this.over = true;
    // The error, with its stack, is made only where somebody gets to see it.
    if (this.output !== undefined && this.output.pendingEntries > 0) this.output.close(reason instanceof Error ? reason : runIsOver());
  }

  errorInfo(error: unknown): TaskErrorInfo {
    this.thrown = error;
    return errorInfoOf(error, this.shared.env.options.limits.maxEventBytes - ENVELOPE_BYTES);
  }

  private fire(reason: unknown): void {
    this.abortReason = reason;
    this.output?.wake();
    this.onAbort?.();
    const { controller } = this;
    this.listeners?.runInAsyncScope(() => controller?.abort(reason));
  }

  private armTimeout(): void {
    const { clock } = this.shared.env;
    // Timers are cut at 24 days and may come early; and a full log must not burn an attempt that waits for it.
    const usedMs = clock.monotonic() - this.startedAt - (this.output?.stalledMs ?? 0);
    // It keeps the process alive: a handler may hold nothing that does, such as one that only waits for its signal.
    if (usedMs < this.task.timeoutMs) this.timeout = clock.after(this.task.timeoutMs - usedMs, () => this.armTimeout(), true);
    else this.timeOut();
  }

  private timeOut(): void {
    const error = new TaskTimeoutError(this.task.timeoutMs);
    if (this.verdict === undefined || this.isRefusedCancel('timeout')) this.verdictError = this.errorInfo(error);
    this.abort('timeout', error);
  }

  private graceOver(): void {
    // The log refused the request meanwhile: what the handler returns counts, so it may go on until its time is up.
    if (this.verdict === 'cancel' && !this.isCancelRequested) return;
    this.shared.counters.abandoned += 1;
    this.settle(SILENT);
  }

  private isRefusedCancel(next: Verdict): boolean {
    return this.verdict === 'cancel' && next !== 'cancel' && !this.isCancelRequested;
  }

  private get isCancelRequested(): boolean {
    return (this.cancelRequest ?? this.shared.facts.cancelRequestOf(this.task.id)) != null;
  }
}
