import { resolveOptions } from '../../../lib/config/resolve-options.js';
import type { TaskflowOptionsInput } from '../../../lib/config/taskflow-options.interface.js';
import type { TaskId } from '../../../lib/contracts/ids.js';
import type { StoredEntry } from '../../../lib/contracts/task-history.interface.js';
import type { Task } from '../../../lib/contracts/task.interface.js';
import type { StartedWork } from '../../../lib/contracts/work-feed.interface.js';
import { inputHash } from '../../../lib/domain/json-encoding.js';
import { ClusterEngine } from '../../../lib/engines/cluster/cluster-engine.js';
import { type ClusterParts, clusterParts } from '../../../lib/engines/cluster/cluster-parts.js';
import { HandlerRegistry } from '../../../lib/handlers/handler-registry.js';
import { SystemIdSource } from '../../../lib/primitives/id-source.js';
import { SystemClock } from '../../../lib/primitives/system-clock.js';
import { eventually } from '../clock/patience.js';
import { FakeTelemetry } from '../doubles/fake-telemetry.js';

/** What a handler of a test is given. Its promise is the result of the task; while it is pending the task runs. */
export interface TestRun {
  readonly work: StartedWork;
  /** Fires when the run was lost, or is asked to end. */
  readonly ended: AbortSignal;
  progress(payload: unknown): Promise<string>;
}
export type TestHandler = (run: TestRun) => Promise<unknown>;

export interface SubmitExtras {
  readonly key?: string;
  readonly keyReuse?: 'never' | 'unsuccessful' | 'ended';
  readonly userId?: string;
  readonly delayMs?: number;
  readonly expiresAt?: number;
  readonly waitForSlot?: boolean;
  readonly priority?: number;
  readonly manager?: object;
}

/** One node of a cluster: the engine as it is, with a taker in place of the executor. */
export class EngineNode {
  readonly parts: ClusterParts;
  readonly engine: ClusterEngine;
  readonly began: StartedWork[] = [];
  readonly lost: TaskId[] = [];
  private readonly registry: HandlerRegistry;
  private readonly aborts = new Map<TaskId, AbortController>();
  readonly log: string[] = [];
  private isOver = false;

  constructor(input: TaskflowOptionsInput, handlers: Readonly<Record<string, TestHandler>>, limits: Readonly<Record<string, number>> = {}) {
    const options = resolveOptions({ engine: 'cluster', ...input });
    const clock = new SystemClock();
    this.registry = new HandlerRegistry(options);
    const say = (text: unknown): void => void this.log.push(String(text));
    const world = {
      options,
      clock,
      ids: new SystemIdSource(),
      logger: { log: say, warn: say, error: say, debug: say },
      telemetry: new FakeTelemetry(),
      handlers: this.registry,
    };
    this.parts = clusterParts(world);
    this.engine = new ClusterEngine(this.parts, world);
    for (const [name, handler] of Object.entries(handlers)) this.define(name, handler, limits[name]);
    const { work, changes } = this.engine;
    work.serve({ begin: (started) => void this.run(started), waits: () => undefined, settled: () => undefined });
    changes.onCancelRequested((id) => this.aborts.get(id)?.abort('cancel'));
    changes.onRunsLost((runs) => {
      for (const { taskId: id } of runs) {
        this.lost.push(id);
        this.aborts.get(id)?.abort('lost');
      }
    });
  }

  private readonly handlers = new Map<string, TestHandler>();

  define(name: string, handler: TestHandler, maxConcurrentExecutions?: number): void {
    this.handlers.set(name, handler);
    this.registry.define({
      name,
      options: maxConcurrentExecutions === undefined ? {} : { maxConcurrentExecutions },
      instance: () => ({ handle: () => Promise.resolve() }),
    });
  }

  async start(): Promise<this> {
    await this.engine.open();
    this.engine.work.open();
    return this;
  }

  submit(name: string, input: unknown, extras: SubmitExtras = {}): Promise<Task> {
    return this.engine.creator.create(this.submission(name, input, extras), undefined);
  }

  submitMany(name: string, inputs: readonly unknown[], extras: SubmitExtras = {}): Promise<readonly Task[]> {
    return this.engine.creator.createMany(
      inputs.map((input) => this.submission(name, input, extras)),
      inputs.map(() => undefined),
    );
  }

  async events(id: TaskId): Promise<string[]> {
    return (await this.engine.queries.after(id, 0, 1000)).map(({ type }) => type);
  }

  /** Everything that is told of a task from here on. */
  async follow(id: TaskId): Promise<{ readonly entries: StoredEntry[]; close(): void }> {
    const entries: StoredEntry[] = [];
    this.engine.changes.onCommitted((facts) => {
      for (const { task, entry } of facts) if (task.id === id) entries.push(entry);
    });
    const watch = this.engine.changes.watch((await this.engine.queries.peek(id))!);
    return { entries, close: () => watch.close() };
  }

  async cancel(id: TaskId): Promise<string> {
    const state = (await this.engine.queries.load(id))!;
    const isRunning = state.status === 'running';
    const draft = isRunning
      ? { type: 'cancel' as const, taskId: id, expect: { status: ['running'] as const, fence: state.fence } }
      : { type: 'cancelled' as const, taskId: id, expect: { status: ['created'] as const } };
    return (await this.engine.facts.append([draft])).kind;
  }

  async stop(): Promise<void> {
    if (this.isOver) return;
    this.isOver = true;
    await this.engine.quiesce();
    await this.engine.creator.stop();
    await this.engine.work.close();
    for (const abort of this.aborts.values()) abort.abort('shutdown');
    await eventually(
      () => this.aborts.size,
      (size) => size === 0,
    );
    await this.engine.leave(5_000);
    await this.engine.close();
  }

  /** As `kill -9` does: nothing is said to anybody. */
  crash(): Promise<void> {
    this.isOver = true;
    return this.engine.close();
  }

  private async run(work: StartedWork): Promise<void> {
    const { task } = work;
    this.began.push(work);
    const abort = new AbortController();
    this.aborts.set(task.id, abort);
    this.engine.work.began(task.id);
    const { facts } = this.engine;
    const expect = { fence: task.fence, status: ['running'] as const };
    const progress = async (payload: unknown): Promise<string> =>
      (await facts.append([{ type: 'progress', taskId: task.id, data: { payload }, expect }])).kind;
    try {
      const result = await this.handlers.get(task.name)!({ work, ended: abort.signal, progress });
      if (abort.signal.reason === 'lost') return;
      if (abort.signal.reason === 'shutdown')
        return void (await facts.append([{ type: 'retry', taskId: task.id, data: { reason: 'shutdown', delayMs: 0 }, expect }]));
      const request = facts.cancelRequestOf(task.id);
      const end = facts.append([
        request == null
          ? { type: 'complete', taskId: task.id, body: `{"result":${JSON.stringify(result ?? null)}}`, expect }
          : { type: 'cancelled', taskId: task.id, expect },
      ]);
      work.slot.lend();
      await end;
    } catch (error) {
      this.log.push(`run broke off: ${String(error)}`);
    } finally {
      this.engine.work.ended(task.id);
      work.slot.release();
      this.aborts.delete(task.id);
    }
  }

  private submission(name: string, input: unknown, extras: SubmitExtras): Parameters<ClusterEngine['creator']['create']>[0] {
    const handler = this.registry.require(name);
    const text = JSON.stringify(input);
    const { key = null, userId = null, keyReuse = 'never', delayMs, expiresAt, waitForSlot = false, priority = 0, manager } = extras;
    return {
      handler,
      input: text,
      key,
      inputHash: key === null ? null : inputHash(text),
      isFromRun: () => false,
      manager,
      request: {
        userId,
        key,
        keyReuse,
        runAt: delayMs === undefined ? undefined : Date.now() + delayMs,
        delayMs,
        expiresAt,
        isTrusted: false,
        priority,
        tags: [],
        timeoutMs: 60_000,
        maxAttempts: 3,
        waitForSlot,
      },
    };
  }
}
