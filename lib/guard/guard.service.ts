import type { TaskflowOptions } from '../config/taskflow.options.js';
import type { Clock } from '../contracts/clock.interface.js';
import type { Telemetry } from '../contracts/telemetry.interface.js';
import { BackpressureError } from '../errors/admission.errors.js';
import { ExecutionSlots } from './execution-slots.js';
import { refuseOversized } from './oversized-batch.js';
import { SlidingWindows, type WindowTicket } from './sliding-window.js';
import type { WaitingCount } from './waiting-count.js';
import { WaitingTasks } from './waiting-tasks.js';

/** What a task will do first: start at once, wait for a slot as a task, wait for its time, or wait for a slot before it is created. */
export type Entry = 'start' | 'queue' | 'delayed' | 'slot';

export interface AdmissionRequest {
  /** Null: only the global limits apply. */
  readonly userId: string | null;
  readonly entry: Entry;
  /** Not counted in the user's window, which trusted code does not ask; all other limits hold. */
  readonly isTrusted: boolean;
}

/** What a submit took of the limits: given back when nothing was created, else reported as `entered`. */
export interface AdmissionTicket extends WindowTicket {
  /** Where it counts as waiting until it is told that it is counted there, or waits no more; for whom. */
  waitsIn?: WaitingCount | undefined;
  userId?: string | null;
}

interface WaitingBatch {
  readonly count: WaitingCount;
  readonly entry: Entry;
  readonly perUser: Map<string | null, number>;
  inAll: number;
}

export type GuardLimit = 'global' | 'user' | 'queue' | 'delayed' | 'slot';

/** Decides what is taken in, and holds the slots in which it runs. */
export class GuardService {
  /** The permits to run, shared by the queue and by submits that wait for a slot. */
  readonly slots: ExecutionSlots;
  /** What waits, shared with the queue. */
  readonly waiting: WaitingTasks;
  private readonly windows: SlidingWindows;
  private readonly rejected: Record<GuardLimit, number> = { global: 0, user: 0, queue: 0, delayed: 0, slot: 0 };

  constructor(
    private readonly options: TaskflowOptions,
    clock: Clock,
    private readonly telemetry?: Telemetry,
  ) {
    this.windows = new SlidingWindows(options.guard.backpressure, clock);
    this.waiting = new WaitingTasks(options.guard.backpressure);
    this.slots = new ExecutionSlots(options.guard.slots, clock, () => this.count('slot'));
  }

  /** Refusals since the start, by limit. */
  get rejections(): Readonly<Record<GuardLimit, number>> {
    return { ...this.rejected };
  }

  /**
   * Takes one submit in. A refusal by one limit takes nothing from the others. The decision is made before the first await, so that
   * callers in one tick cannot all see the same room. Parameters as in `AdmissionRequest`.
   * @throws BackpressureError.
   */
  async admit(userId: string | null, entry: Entry, isTrusted = false): Promise<AdmissionTicket> {
    // What waits first: it is only looked at, while the windows count.
    const count = this.countOf(entry);
    if (count !== undefined) this.requireRoom(entry, count.excess(userId, 1));
    const admission = this.windows.admit(isTrusted ? null : userId);
    if ('limit' in admission) throw this.refusal(admission.limit, admission.retryAfterMs);
    return count === undefined ? admission : enter(admission, count, userId);
  }

  /** Takes all of them in, or none. @returns a ticket for each, in order. @throws BackpressureError; ValidationError when so many never are. */
  async admitMany(requests: readonly AdmissionRequest[]): Promise<AdmissionTicket[]> {
    refuseOversized(requests, this.options, this.waiting);
    for (const { count, entry, perUser, inAll } of this.waitingOf(requests))
      for (const [userId, more] of perUser) this.requireRoom(entry, count.excess(userId, more, inAll));
    const admissions = this.windows.admitMany(requests.map(({ userId, isTrusted }) => (isTrusted ? null : userId)));
    if ('limit' in admissions) throw this.refusal(admissions.limit, admissions.retryAfterMs);
    return admissions.map((admission, at) => {
      const { userId, entry } = requests[at]!;
      const count = this.countOf(entry);
      return count === undefined ? admission : enter(admission, count, userId);
    });
  }

  /** It is counted where it waits from now on, or waits no more. Harmless when repeated. */
  entered(ticket: AdmissionTicket): void {
    const { waitsIn, userId = null } = ticket;
    if (waitsIn === undefined) return;
    ticket.waitsIn = undefined;
    waitsIn.change(userId, -1);
  }

  /** Nothing was created: as if the submit had not been made. Harmless when repeated. */
  giveBack(ticket: AdmissionTicket): void {
    this.entered(ticket);
    this.windows.giveBack(ticket);
  }

  private countOf(entry: Entry): WaitingCount | undefined {
    if (entry === 'start') return undefined;
    return entry === 'delayed' ? this.waiting.delayed : this.waiting.queued;
  }

  /** How many of each user will wait, by what they are counted in. */
  private waitingOf(requests: readonly AdmissionRequest[]): Iterable<WaitingBatch> {
    const batches = new Map<WaitingCount, WaitingBatch>();
    for (const { userId, entry } of requests) {
      const count = this.countOf(entry);
      if (count === undefined) continue;
      let batch = batches.get(count);
      if (batch === undefined) batches.set(count, (batch = { count, entry, perUser: new Map(), inAll: 0 }));
      batch.perUser.set(userId, (batch.perUser.get(userId) ?? 0) + 1);
      batch.inAll += 1;
    }
    return batches.values();
  }

  private requireRoom(entry: Entry, excess: number): void {
    if (excess <= 0 || entry === 'start') return;
    const { pace } = this.slots;
    // A delayed task leaves when its time has come or it is cancelled, and where nothing runs nothing leaves: no number would be right.
    const mayRun = this.options.executor.enabled || pace.isKnown;
    throw this.refusal(entry, mayRun && entry !== 'delayed' && excess !== Infinity ? pace.estimateMs(excess) : undefined);
  }

  /** Counts a refusal, and says it. */
  refusal(limit: GuardLimit, retryAfterMs: number | undefined): BackpressureError {
    this.count(limit);
    return new BackpressureError(limit, retryAfterMs);
  }

  private count(limit: GuardLimit): void {
    this.rejected[limit] += 1;
    this.telemetry?.count('taskflow.guard.rejections', 1, { 'taskflow.limit': limit });
  }
}

/** The window's ticket itself, since there is one for every submit. */
function enter(ticket: AdmissionTicket, count: WaitingCount, userId: string | null): AdmissionTicket {
  count.change(userId, 1);
  ticket.waitsIn = count;
  ticket.userId = userId;
  return ticket;
}
