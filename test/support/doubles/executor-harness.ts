import type { FactOutcome } from '../../../lib/contracts/fact-port.interface.js';
import { type TaskId, taskId } from '../../../lib/contracts/ids.js';
import type { HandlerInstance } from '../../../lib/contracts/handler-registry.interface.js';
import type { TaskHandlerOptions } from '../../../lib/contracts/task-handler.interface.js';
import type { SpanHandle, Telemetry } from '../../../lib/contracts/telemetry.interface.js';
import type { SlotLease } from '../../../lib/contracts/work-feed.interface.js';
import type { ClaimedWork, WorkItem, WorkSource } from '../../../lib/engines/local/queue/work-source.interface.js';
import type { CancelRequest, TaskState } from '../../../lib/domain/task-state.js';
import { EventLogError } from '../../../lib/errors/storage.errors.js';
import { LocalRunLiveness } from '../../../lib/engines/local/ledger/local-run-liveness.js';
import type { LiveRun } from '../../../lib/contracts/run-liveness.interface.js';
import { LocalWorkFeed } from '../../../lib/engines/local/queue/local-work-feed.js';
import { ExecutionEnvironment, type ExecutionSettings } from '../../../lib/executor/execution-environment.js';
import { type ExecutorEngine, ExecutorService } from '../../../lib/executor/executor.service.js';
import { InterceptorChain } from '../../../lib/handlers/interceptor-chain.js';
import { HandlerRegistry } from '../../../lib/handlers/handler-registry.js';
import { FactPortDouble } from './fact-port-double.js';
import { FakeClock, FakeIdSource, settle } from '../clock/fake-clock.js';

export const SETTINGS: ExecutionSettings = {
  executor: {
    enabled: true,
    heartbeatIntervalMs: 5000,
    defaultTimeoutMs: 300_000,
    tickIntervalMs: 100,
    retry: { maxAttempts: 3, initialDelayMs: 1000, maxDelayMs: 30_000, backoffMultiplier: 2, jitter: true },
  },
  recovery: { staleThresholdMs: 30_000 },
  shutdown: { timeoutMs: 30_000, forceKillTimeoutMs: 5000 },
  limits: { maxEventBytes: 65_536, maxResultBytes: 1_048_576, maxDepth: 64 },
};

/** A plain queue: first come, first served, with a fixed number of slots. */
export class WorkSourceDouble implements WorkSource {
  readonly items: WorkItem[] = [];
  readonly defined = new Set<string>();
  readonly putBacks: { id: TaskId; notBefore: number }[] = [];
  slotsInUse = 0;
  recoveredCalls = 0;
  private readonly listeners: (() => void)[] = [];
  private readonly claimed = new Map<TaskId, WorkItem>();

  constructor(
    private readonly clock: FakeClock,
    private readonly slots: number,
  ) {}

  offer(item: WorkItem): void {
    this.items.push(item);
    this.wake();
  }
  knows(id: TaskId): boolean {
    return this.claimed.has(id) || this.items.some((item) => item.taskId === id);
  }
  withdraw(id: TaskId): boolean {
    const at = this.items.findIndex((item) => item.taskId === id);
    if (at >= 0) this.items.splice(at, 1);
    return at >= 0;
  }
  claim(limit: number): ClaimedWork[] {
    const claimed: ClaimedWork[] = [];
    for (const item of this.items.slice()) {
      if (claimed.length === limit || this.slotsInUse >= this.slots) break;
      if (!this.defined.has(item.name) || item.notBefore > this.clock.monotonic() || item.runAt > this.clock.now()) continue;
      this.items.splice(this.items.indexOf(item), 1);
      this.claimed.set(item.taskId, item);
      claimed.push({ taskId: item.taskId, name: item.name, userId: item.userId, slot: this.lease(item.name, item.userId) });
    }
    return claimed;
  }
  putBack(id: TaskId, notBefore: number): void {
    this.putBacks.push({ id, notBefore });
    this.items.unshift({ ...this.claimed.get(id)!, notBefore });
  }
  onWork(listener: () => void): void {
    this.listeners.push(listener);
  }
  define(name: string): void {
    this.defined.add(name);
    this.wake();
  }
  tick(): void {
    this.wake();
  }
  peek(limit: number): TaskId[] {
    return this.items.slice(0, limit).map((item) => item.taskId);
  }
  createdOf(): undefined {
    return undefined;
  }
  reserve(name: string, userId: string | null): SlotLease | null {
    return this.slotsInUse < this.slots ? this.lease(name, userId) : null;
  }
  get size(): { queued: number; delayed: number; parked: number } {
    return { queued: this.items.length, delayed: 0, parked: 0 };
  }

  private lease(name: string, userId: string | null): SlotLease {
    this.slotsInUse += 1;
    let isHeld = true;
    let isLent = false;
    const release = (): void => {
      if (!isHeld) throw new Error('slot released twice');
      isHeld = false;
      if (!isLent) this.freed();
    };
    const lend = (): void => {
      if (!isLent) this.freed();
      isLent = true;
    };
    const takeBack = (): void => {
      if (isLent) this.slotsInUse += 1;
      isLent = false;
    };
    return { name, userId, release, lend, takeBack, recovered: () => void (this.recoveredCalls += 1) };
  }
  private freed(): void {
    this.slotsInUse -= 1;
    this.wake();
  }
  private wake(): void {
    for (const listener of this.listeners) listener();
  }
}

/** Keeps what was counted, measured and traced. */
export class TelemetryDouble implements Telemetry {
  readonly counts = new Map<string, number>();
  readonly records: { name: string; value: number }[] = [];
  readonly spans: { name: string; parent: string | null | undefined; outcome?: string; error?: unknown }[] = [];
  count(name: string, by = 1): void {
    this.counts.set(name, (this.counts.get(name) ?? 0) + by);
  }
  record(name: string, value: number): void {
    this.records.push({ name, value });
  }
  gauge(): void {}
  async span<T>(name: string, options: { parent?: string | null }, work: (span: SpanHandle) => Promise<T>): Promise<T> {
    const span: TelemetryDouble['spans'][number] = { name, parent: options.parent };
    this.spans.push(span);
    return work({ outcome: (value) => void (span.outcome = value), error: (error) => void (span.error = error) });
  }
  traceparent(): string | undefined {
    return undefined;
  }
}

type ExecutorChanges = ExecutorEngine['changes'];

/** What the engine tells of runs: cancel requests that are durable; lost runs and the end when a test says so. */
export class NewsDouble implements ExecutorChanges {
  private readonly lostListeners: ((runs: readonly LiveRun[], reason: Error) => void)[] = [];
  private readonly haltListeners: ((reason: Error) => void)[] = [];

  constructor(private readonly facts: FactPortDouble) {}

  onCancelRequested(listener: (taskId: TaskId, request: CancelRequest) => void): void {
    this.facts.onCommitted((facts) => {
      for (const { task, entry } of facts) if (entry.type === 'cancel') listener(task.id, task.cancelRequest!);
    });
  }
  onRunsLost(listener: (runs: readonly LiveRun[], reason: Error) => void): void {
    this.lostListeners.push(listener);
  }
  onHalted(listener: (reason: Error) => void): void {
    this.haltListeners.push(listener);
  }
  lose(runs: readonly LiveRun[], reason: Error): void {
    for (const listener of this.lostListeners) listener(runs, reason);
  }
  halt(): void {
    for (const listener of this.haltListeners) listener(new EventLogError('failed', 'none', 'The event log failed.'));
  }
}

const isFailure = (text: unknown): boolean => typeof text === 'string' && /^Task \S+ \(\S+\) failed at attempt/.test(text);

/** An executor on a fake clock, an in-memory log and a plain queue. */
export class ExecutorHarness<S extends WorkSource = WorkSourceDouble> {
  readonly clock = new FakeClock();
  readonly facts = new FactPortDouble(() => this.clock.now());
  readonly telemetry = new TelemetryDouble();
  readonly news = new NewsDouble(this.facts);
  readonly liveness = new LocalRunLiveness(this.facts);
  readonly source: S;
  readonly feed: LocalWorkFeed;
  readonly registry: HandlerRegistry;
  readonly interceptors = new InterceptorChain();
  readonly executor: ExecutorService;
  readonly warnings: string[] = [];
  /** Lines that tell of failed attempts, which are no errors of the executor. */
  readonly failures: string[] = [];
  readonly errors: unknown[] = [];
  readonly idSource = new FakeIdSource(7);
  private readonly ids = new FakeIdSource(1);

  constructor({
    settings = SETTINGS,
    slots = 10,
    source,
  }: { settings?: ExecutionSettings; slots?: number; source?: (clock: FakeClock) => S } = {}) {
    this.source = source === undefined ? (new WorkSourceDouble(this.clock, slots) as WorkSource as S) : source(this.clock);
    this.registry = new HandlerRegistry(settings);
    const logger = {
      log: () => undefined,
      warn: (text: string) => (isFailure(text) ? this.failures : this.warnings).push(text),
      error: (text: unknown) => (isFailure(text) ? this.failures : this.errors).push(text as string),
    };
    const env = new ExecutionEnvironment(settings, this.clock, this.idSource, this.telemetry, logger);
    this.feed = new LocalWorkFeed(settings, this.clock, logger, this.facts, this.facts.history, this.source, this.telemetry);
    const { facts, news: changes, feed: work, liveness } = this;
    const engine = { facts, queries: facts.history, work, changes, liveness };
    this.executor = new ExecutorService(env, engine, this.registry, this.interceptors);
  }

  define(name: string, instance: HandlerInstance | HandlerInstance['handle'], options: TaskHandlerOptions = {}): void {
    const made = typeof instance === 'function' ? { handle: instance } : instance;
    this.registry.define({ name, options, instance: () => made });
  }

  /** A `created` task in the log, which waits in the queue. */
  async submit(
    name: string,
    input: unknown = {},
    options: { traceparent?: string; maxAttempts?: number; timeoutMs?: number; userId?: string } = {},
  ): Promise<TaskId> {
    const id = taskId(this.ids.uuid());
    const handler = this.registry.get(name);
    const defaults = { maxAttempts: handler?.retry.maxAttempts ?? 3, timeoutMs: handler?.timeoutMs ?? 300_000 };
    const isManual = this.facts.isManual;
    this.facts.isManual = false;
    const outcome = await this.facts.append([{ type: 'created', taskId: id, data: { name, input, ...defaults, ...options } }]);
    this.facts.isManual = isManual;
    // Without its input, as after a restart: it is read when its turn comes.
    this.feed.offer({ ...(outcome.task as TaskState), input: undefined });
    return id;
  }

  /** A task that started in the frame of its own `created`, as the intake makes it when a slot is free. */
  async created(name: string, input: unknown = {}): Promise<FactOutcome & { kind: 'applied' }> {
    const id = taskId(this.ids.uuid());
    const data = { name, input, maxAttempts: 3, timeoutMs: 300_000 };
    const outcome = await this.facts.append([
      { type: 'created', taskId: id, data },
      { type: 'start', taskId: id },
    ]);
    return outcome as FactOutcome & { kind: 'applied' };
  }

  /** As `CancellationService` does it; the run hears of the request when it is durable. */
  async cancel(id: TaskId, reason?: string): Promise<'ok' | 'fenced' | 'refused'> {
    try {
      const { fence } = this.facts.state(id);
      const outcome = await this.facts.append([
        { type: 'cancel', taskId: id, data: reason === undefined ? {} : { reason }, expect: { status: ['running'], fence } },
      ]);
      return outcome.kind === 'applied' ? 'ok' : 'fenced';
    } catch {
      return 'refused';
    }
  }

  /** Appends what the recovery does after a crash. */
  async crash(id: TaskId, recoveries = 1): Promise<TaskState> {
    const outcome = await this.facts.append([{ type: 'recovered', taskId: id, data: { recoveries } }]);
    return outcome.task as TaskState;
  }

  readonly settle = settle;
}
