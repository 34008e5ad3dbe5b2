import type { LoggerService } from '@nestjs/common';
import type { TaskflowOptions } from '../../../config/taskflow.options.js';
import type { Clock } from '../../../contracts/clock.interface.js';
import type { TaskId } from '../../../contracts/ids.js';
import type { TaskEvent } from '../../../contracts/task-event.interface.js';
import type { TaskHistory } from '../../../contracts/task-history.interface.js';
import type { Telemetry } from '../../../contracts/telemetry.interface.js';
import type { SlotLease, WorkFeed, WorkSize, WorkTaker } from '../../../contracts/work-feed.interface.js';
import type { TaskState } from '../../../domain/task-state.js';
import { Dispatcher } from './dispatcher.js';
import type { ResidentFacts } from './resident-facts.interface.js';
import { workItemOf } from './work-item.js';
import type { WorkSource } from './work-source.interface.js';

const NO_EVENTS: readonly TaskEvent[] = Object.freeze([]);

/** The work of one machine: a fair queue in memory, whose tasks start by an entry in the log. */
export class LocalWorkFeed implements WorkFeed {
  private dispatcher: Dispatcher | undefined;
  private taker: WorkTaker | undefined;

  constructor(
    private readonly options: { readonly executor: Pick<TaskflowOptions['executor'], 'tickIntervalMs'> },
    private readonly clock: Clock,
    private readonly logger: LoggerService,
    private readonly facts: ResidentFacts,
    private readonly history: TaskHistory,
    private readonly source: WorkSource,
    private readonly telemetry: Telemetry,
  ) {
    // What was cancelled before it ran waits no longer, whoever cancelled it.
    facts.onCommitted((made) => {
      made.forEach(({ task, entry }) => {
        if (entry.type === 'cancelled') this.withdraw(task.id);
      });
    });
  }

  get starting(): number {
    return this.dispatcher?.starting ?? 0;
  }

  get deferred(): number {
    return this.dispatcher?.deferred ?? 0;
  }

  get expired(): number {
    return this.dispatcher?.expired ?? 0;
  }

  get size(): WorkSize {
    return this.source.size;
  }

  /** Between `open` and `close`: waiting tasks are started as slots come free. */
  get isOpen(): boolean {
    return this.dispatcher?.isTaking ?? false;
  }

  serve(taker: WorkTaker): void {
    this.taker = taker;
    const { clock, logger, facts, history, source, telemetry } = this;
    const { tickIntervalMs } = this.options.executor;
    this.dispatcher = new Dispatcher({ clock, logger, tickIntervalMs, facts, history, source, telemetry }, taker);
  }

  open(): void {
    this.dispatcher?.start();
  }

  async close(): Promise<void> {
    await this.dispatcher?.stop();
  }

  define(name: string): void {
    this.source.define(name);
  }

  /** A slot for a task that is about to be created, so that it starts with its own `created`; null: it has to wait. Release it, or `launch`. */
  reserve(name: string, userId: string | null): SlotLease | null {
    return this.isOpen ? this.source.reserve(name, userId) : null;
  }

  /** Runs a task whose first `start` is durable. @param value what validation gave at the submit; undefined: the run validates its input. */
  launch(task: TaskState, slot: SlotLease, value: unknown): void {
    this.taker!.begin({ task, slot, previousEvents: NO_EVENTS, validated: value === undefined ? undefined : { value } });
  }

  offer(task: TaskState, input?: string): void {
    this.taker?.waits(task.name);
    this.source.offer(workItemOf(task, this.clock, this.facts.createdOf(task.id), input !== undefined));
    this.dispatcher?.offered(task, input ?? task.input);
  }

  /** True when the task waits here, or runs: then every row of it may be out of date. */
  knows(taskId: TaskId): boolean {
    return this.source.knows(taskId);
  }

  /** Takes a waiting task out. False when it does not wait here. */
  withdraw(taskId: TaskId): boolean {
    return this.dispatcher?.takeOut(taskId) ?? this.source.withdraw(taskId);
  }

  /** A task with a run stays in memory: its entries are checked there. */
  began(taskId: TaskId): void {
    this.facts.retain(taskId);
  }

  ended(taskId: TaskId): void {
    this.facts.release(taskId);
  }
}
