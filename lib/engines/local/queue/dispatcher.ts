import type { FactDraft, FactOutcome } from '../../../contracts/fact-port.interface.js';
import type { TaskId } from '../../../contracts/ids.js';
import type { TaskEvent } from '../../../contracts/task-event.interface.js';
import type { TaskHistory } from '../../../contracts/task-history.interface.js';
import type { StartedWork, WorkTaker } from '../../../contracts/work-feed.interface.js';
import { previousEventsOf } from '../../../domain/run-history.js';
import { delayOf } from '../../../domain/bounds.js';
import { copyOf, type TaskState } from '../../../domain/task-state.js';
import { isRefusedForNow } from '../../../errors/fact-refused.js';
import { EventLogError, RepositoryError } from '../../../errors/storage.errors.js';
import { Deferred } from '../../../primitives/deferred.js';
import { InterruptibleLoop } from '../../../primitives/interruptible-loop.js';
import { outsideRequests } from '../../../primitives/async-context.js';
import { LateReads } from './late-reads.js';
import { PreparedWork } from './prepared-work.js';
import { expiredDraft, hasExpired } from '../../../domain/expiry.js';
import { type ExpiryParts, ExpiryWatch } from './expiry-watch.js';
import type { ClaimedWork, WorkSource } from './work-source.interface.js';
import { failpoint } from '../../../primitives/failpoint.js';

export interface DispatcherParts extends ExpiryParts {
  readonly history: TaskHistory;
  readonly source: WorkSource;
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
  /** Between `start` and `stop`. */
  isTaking = false;
  private isScheduled = false;
  /** Claimed tasks whose `start` is not durable yet. */
  starting = 0;
  /** Tasks passed over, since the process started. */
  deferred = 0;
  private readonly stopped = new Deferred();
  private isHolding = false;
  private readonly loop: InterruptibleLoop;
  private readonly prepared: PreparedWork;
  private readonly expiry: ExpiryWatch;
  private readonly late: LateReads<ReadWork | undefined>;

  constructor(
    private readonly parts: DispatcherParts,
    private readonly taker: WorkTaker,
  ) {
    const { clock, logger, tickIntervalMs, facts, source } = parts;
    this.prepared = new PreparedWork(facts, source);
    this.expiry = new ExpiryWatch(parts, (taskId) => this.takeOut(taskId));
    this.late = new LateReads(clock);
    this.loop = new InterruptibleLoop(clock, {
      intervalMs: tickIntervalMs,
      turn: () => source.tick(),
      onError: (error) => logger.error('The queue could not be looked at.', error),
      keepsAlive: () => (this.isHolding = this.hasWaiting()),
    });
  }

  /** Tasks that ended for want of a start in time, since the process started. */
  get expired(): number {
    return this.expiry.count;
  }

  start(): void {
    if (this.isTaking) return;
    this.isTaking = true;
    this.parts.source.onWork(() => this.schedule());
    this.loop.start();
    this.parts.source.tick();
    this.schedule();
  }

  /** A task was added to the queue. While anything waits for its time or a slot, a process with nothing else to do stays alive. */
  offered(task: TaskState, input: string | undefined): void {
    this.expiry.add(task);
    if (!this.isTaking) return;
    if (task.fence === 0) this.prepared.add(task, input, this.parts.source.size.queued);
    if (!this.isHolding && this.hasWaiting()) this.loop.wake();
  }

  /** Takes a waiting task out of the queue. False when it does not wait. */
  takeOut(taskId: TaskId): boolean {
    this.expiry.forget(taskId);
    this.prepared.forget(taskId);
    this.late.forget(taskId);
    return this.parts.source.withdraw(taskId);
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
    const { queued, delayed } = this.parts.source.size;
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
      const claimed = this.parts.source.claim(MAX_CLAIM);
      for (const work of claimed) void this.dispatch(work); // never rejects
      if (claimed.length > 0) this.prepared.refill(this.parts.source.size.queued);
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
      this.taker.begin(started);
    }
    if (prepared !== undefined) this.parts.facts.release(work.taskId);
    if (this.starting === 0) this.taker.settled();
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
    const task = prepared ?? (await this.parts.facts.load(work.taskId));
    if (task === null || task.status !== 'created') return undefined;
    if (task.input === undefined) throw new RepositoryError('UNAVAILABLE', 'The input of a task is not at hand.');
    return { task, previousEvents: task.fence === 0 ? NO_EVENTS : await previousEventsOf(this.parts.history, task, task.lastSeq) };
  }

  private async appendStart(work: ClaimedWork, read: ReadWork): Promise<StartedWork | undefined> {
    const { id, fence } = read.task;
    const start: FactDraft = { type: 'start', taskId: id, expect: { status: ['created'], fence } };
    while (this.isTaking) {
      let outcome: FactOutcome;
      let isLate: boolean;
      failpoint('claim.before-start');
      try {
        isLate = hasExpired(read.task, this.parts.clock.now());
        outcome = await this.parts.facts.append([isLate ? expiredDraft(id, read.task.expiresAt!) : start]);
      } catch (error) {
        if (!isRefusedForNow(error)) throw error;
        await Promise.race([this.parts.facts.whenAccepting('lifecycle'), this.stopped.promise]);
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
    const { clock, logger, source } = this.parts;
    this.deferred += 1;
    if (!RepositoryError.is(error) && !EventLogError.is(error))
      logger.error(`Task ${work.taskId} could not be started; it is tried again.`, error);
    const delayMs = (RepositoryError.is(error) ? delayOf(error.retryAfterMs) : undefined) ?? DEFERRED_MS;
    source.putBack(work.taskId, clock.monotonic() + delayMs);
  }
}
