import type { EntryAddress } from '../../../contracts/event-log.interface.js';
import type { FactDraft, FactOutcome } from '../../../contracts/fact-port.interface.js';
import type { TaskId } from '../../../contracts/ids.js';
import type { TaskEvent } from '../../../contracts/task-event.interface.js';
import type { TaskHistory } from '../../../contracts/task-history.interface.js';
import type { ClaimedWork, SlotLease, WorkSource } from '../../../contracts/work-source.interface.js';
import { copyOf, type TaskState } from '../../../domain/task-state.js';
import { EventLogError, EventLogFullError, RepositoryError } from '../../../errors/storage.errors.js';
import { Deferred } from '../../../primitives/deferred.js';
import { InterruptibleLoop } from '../../../primitives/interruptible-loop.js';
import { outsideRequests } from '../../../primitives/async-context.js';
import { LateReads } from './late-reads.js';
import { PreparedWork } from './prepared-work.js';
import { expiredDraft, hasExpired } from '../../../executor/expiry.js';
import { ExpiryWatch } from '../../../executor/expiry-watch.js';
import { previousEventsOf } from '../../../executor/run-history.js';
import type { RunSurroundings } from '../../../executor/task-run.js';
import { failpoint } from '../../../primitives/failpoint.js';

/** The queue of one machine: it also hands out free slots, and looks at due times. */
export interface LocalWorkSource extends WorkSource {
  /** A slot for a task that is about to be created, or null: none is free, or waiting work comes first. */
  reserve(name: string, userId: string | null): SlotLease | null;
  /** Tasks that are likely to be claimed next, best effort. */
  peek(limit: number): TaskId[];
  /** As a waiting task was offered. */
  createdOf(taskId: TaskId): EntryAddress | undefined;
  /** Looks at due times. */
  tick(): void;
}

export interface StartedWork {
  /** As of its durable `start`, with its input. */
  readonly task: TaskState;
  readonly slot: SlotLease;
  readonly previousEvents: readonly TaskEvent[];
}

interface ReadWork {
  readonly task: TaskState;
  readonly previousEvents: readonly TaskEvent[];
}

const MAX_CLAIM = 64;
/** A task that could not be read is passed over for this long. Unit: ms. */
const DEFERRED_MS = 1000;
/** One whose read is under way is looked at again after this long. Unit: ms. */
const LATE_MS = 500;
const NO_EVENTS: readonly TaskEvent[] = Object.freeze([]);

/** Takes due work as slots come free, and hands it over once its `start` is durable. */
export class Dispatcher {
  private isTaking = false;
  private isScheduled = false;
  private starting = 0;
  private readonly stopped = new Deferred();
  private isHolding = false;
  private readonly loop: InterruptibleLoop;
  private readonly prepared: PreparedWork;
  private readonly expiry: ExpiryWatch;
  private readonly late: LateReads<ReadWork | undefined>;

  /** @param begin runs a task and sees to its slot. @param idle called when no start is under way any more. */
  constructor(
    private readonly shared: RunSurroundings,
    private readonly source: LocalWorkSource,
    private readonly history: TaskHistory,
    private readonly begin: (work: StartedWork) => void,
    private readonly idle: () => void,
  ) {
    const { clock, options, logger } = shared.env;
    this.prepared = new PreparedWork(shared.facts, source);
    this.expiry = new ExpiryWatch(shared, (taskId) => this.takeOut(taskId));
    this.late = new LateReads(clock);
    this.loop = new InterruptibleLoop(clock, {
      intervalMs: options.executor.tickIntervalMs,
      turn: () => this.source.tick(),
      onError: (error) => logger.error('The queue could not be looked at.', error),
      keepsAlive: () => (this.isHolding = this.hasWaiting()),
    });
  }

  /** Claimed tasks whose `start` is not durable yet. */
  get startingCount(): number {
    return this.starting;
  }

  start(): void {
    if (this.isTaking) return;
    this.isTaking = true;
    this.source.onWork(() => this.schedule());
    this.loop.start();
    this.source.tick();
    this.schedule();
  }

  /** A task was added to the queue. While anything waits for its time or a slot, a process with nothing else to do stays alive. */
  offered(task: TaskState, input: string | undefined): void {
    this.expiry.add(task);
    if (!this.isTaking) return;
    if (task.fence === 0) this.prepared.add(task, input, this.source.size.queued);
    if (!this.isHolding && this.hasWaiting()) this.loop.wake();
  }

  /** Takes a waiting task out of the queue. False when it does not wait. */
  takeOut(taskId: TaskId): boolean {
    this.expiry.forget(taskId);
    this.prepared.forget(taskId);
    this.late.forget(taskId);
    return this.source.withdraw(taskId);
  }

  /** Nothing more is taken. A `start` that waits for room is given up; one that is on its way to the disk still runs. */
  stop(): Promise<void> {
    this.isTaking = false;
    this.stopped.resolve();
    this.prepared.clear();
    this.expiry.stop();
    this.late.clear();
    return this.loop.stop();
  }

  /** Parked tasks wait for another process. */
  private hasWaiting(): boolean {
    const { queued, delayed } = this.source.size;
    return queued + delayed > 0;
  }

  /** Many offers and releases of one turn make one look at the queue. */
  private schedule(): void {
    if (this.isScheduled || !this.isTaking) return;
    this.isScheduled = true;
    outsideRequests(queueMicrotask, () => {
      this.isScheduled = false;
      this.take();
    });
  }

  private take(): void {
    while (this.isTaking) {
      const claimed = this.source.claim(MAX_CLAIM);
      for (const work of claimed) void this.dispatch(work); // never rejects
      if (claimed.length > 0) this.prepared.refill(this.source.size.queued);
      if (claimed.length < MAX_CLAIM) return;
    }
  }

  private async dispatch(work: ClaimedWork): Promise<void> {
    this.starting += 1;
    const arrival = this.prepared.arrival(work.taskId);
    if (arrival !== undefined) await this.late.arrives(arrival);
    const prepared = this.prepared.take(work.taskId);
    let started: StartedWork | undefined;
    try {
      const read = prepared?.fence === 0 ? { task: prepared, previousEvents: NO_EVENTS } : await this.readSoon(work, prepared);
      if (read !== undefined) started = await this.appendStart(work, read);
    } catch (error) {
      // A failed log takes no more starts: whatever waits, waits for the next process.
      if (!EventLogError.is(error)) this.passOver(work, error);
    }
    this.starting -= 1;
    if (started === undefined) work.slot.release();
    else {
      this.expiry.forget(work.taskId);
      this.begin(started);
    }
    if (prepared !== undefined) this.shared.facts.release(work.taskId);
    if (this.starting === 0) this.idle();
  }

  /** Undefined: it was cancelled or pruned meanwhile, or is passed over as it cannot be read now. */
  private async readSoon(work: ClaimedWork, prepared: TaskState | undefined): Promise<ReadWork | undefined> {
    try {
      const read = await this.late.soon(work.taskId, () => this.read(work, prepared));
      if (read === undefined)
        throw new RepositoryError('UNAVAILABLE', 'The database did not give a task soon enough for a slot to wait.', LATE_MS);
      return read.found;
    } catch (error) {
      // An error of reading, not of appending: the log may well go on.
      this.passOver(work, error);
      return undefined;
    }
  }

  private async read(work: ClaimedWork, prepared: TaskState | undefined): Promise<ReadWork | undefined> {
    const task = prepared ?? (await this.shared.facts.load(work.taskId));
    if (task === null || task.status !== 'created') return undefined;
    if (task.input === undefined) throw new RepositoryError('UNAVAILABLE', 'The input of a task is not at hand.');
    return { task, previousEvents: task.fence === 0 ? NO_EVENTS : await previousEventsOf(this.history, task, task.lastSeq) };
  }

  private async appendStart(work: ClaimedWork, read: ReadWork): Promise<StartedWork | undefined> {
    const { id, fence } = read.task;
    const start: FactDraft = { type: 'start', taskId: id, expect: { status: ['created'], fence } };
    while (this.isTaking) {
      let outcome: FactOutcome;
      let isLate: boolean;
      failpoint('claim.before-start');
      try {
        isLate = hasExpired(read.task, this.shared.env.clock.now());
        outcome = await this.shared.facts.append([isLate ? expiredDraft(id, read.task.expiresAt!) : start]);
      } catch (error) {
        if (!EventLogFullError.is(error)) throw error;
        await Promise.race([this.shared.facts.whenAccepting('lifecycle'), this.stopped.promise]);
        continue;
      }
      if (outcome.kind !== 'applied') return undefined; // cancelled meanwhile
      if (isLate) {
        this.expiry.ended(outcome.task);
        return undefined;
      }
      failpoint('claim.after-start');
      const task = copyOf(outcome.task);
      task.input ??= read.task.input;
      return { task, slot: work.slot, previousEvents: read.previousEvents };
    }
    return undefined;
  }

  private passOver(work: ClaimedWork, error: unknown): void {
    const { counters, env } = this.shared;
    counters.deferred += 1;
    if (!RepositoryError.is(error) && !EventLogError.is(error))
      env.logger.error(`Task ${work.taskId} could not be started; it is tried again.`, error);
    const delayMs = RepositoryError.is(error) ? error.retryAfterMs : DEFERRED_MS;
    this.source.putBack(work.taskId, env.clock.monotonic() + delayMs);
  }
}
