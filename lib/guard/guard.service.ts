import { Inject, Injectable, Optional } from '@nestjs/common';
import type { TaskflowOptions } from '../config/taskflow.options.js';
import { CLOCK, TASKFLOW_OPTIONS, TELEMETRY } from '../config/taskflow.tokens.js';
import type { Clock } from '../contracts/clock.interface.js';
import type { Telemetry } from '../contracts/telemetry.interface.js';
import { BackpressureError } from '../errors/admission.errors.js';
import { ExecutionSlots } from './execution-slots.js';
import { SlidingWindows, type WindowTicket } from './sliding-window.js';

/** What a submit took of the windows; given back when nothing was created. */
export type AdmissionTicket = WindowTicket;

export type GuardLimit = 'global' | 'user' | 'queue' | 'slot';

/** Decides what is taken in, and holds the slots in which it runs. */
@Injectable()
export class GuardService {
  /** The permits to run, shared by the queue and by submits that wait for a slot. */
  readonly slots: ExecutionSlots;
  private readonly windows: SlidingWindows;
  /** Admitted to the queue and not in it yet: they count as queued, or a burst would pass the bound. */
  private entering = 0;
  private readonly rejected: Record<GuardLimit, number> = { global: 0, user: 0, queue: 0, slot: 0 };

  constructor(
    @Inject(TASKFLOW_OPTIONS) private readonly options: TaskflowOptions,
    @Inject(CLOCK) clock: Clock,
    @Optional() @Inject(TELEMETRY) private readonly telemetry?: Telemetry,
  ) {
    this.windows = new SlidingWindows(options.guard.backpressure, clock);
    this.slots = new ExecutionSlots(options.guard.slots, clock, () => this.count('slot'));
  }

  /** Refusals since the start, by limit. */
  get rejections(): Readonly<Record<GuardLimit, number>> {
    return { ...this.rejected };
  }

  /**
   * Counts one submit in the windows. A refusal by one limit takes nothing from the others. The decision is made before the first await,
   * so that callers in one tick cannot all see the same room.
   * @param userId null: only the global limits apply.
   * @param waiting this home's `created` tasks; null when the task will not wait: it has a slot. Who gave a number calls `entered` later.
   * @throws BackpressureError `retryAfterMs` is exact for `global` and `user`, an estimate for `queue`.
   */
  async admit(userId: string | null, waiting: number | null): Promise<AdmissionTicket> {
    // The queue first: it is only looked at, while the windows count.
    if (waiting !== null) this.checkQueue(waiting + this.entering);
    const admission = this.windows.admit(userId);
    if ('limit' in admission) throw this.refusal(admission.limit, admission.retryAfterMs);
    if (waiting !== null) this.entering += 1;
    return admission;
  }

  /** A submit that was admitted to the queue is among those that wait now, or was refused after all. */
  entered(): void {
    this.entering -= 1;
  }

  /** Nothing was created: as if the submit had not been made. Harmless when repeated. */
  giveBack(ticket: AdmissionTicket): void {
    this.windows.giveBack(ticket);
  }

  private checkQueue(queued: number): void {
    const { maxQueuedSize } = this.options.guard.backpressure;
    if (queued >= maxQueuedSize) throw this.refusal('queue', this.slots.pace.estimateMs(queued - maxQueuedSize + 1));
  }

  private refusal(limit: 'global' | 'user' | 'queue', retryAfterMs: number): BackpressureError {
    this.count(limit);
    return new BackpressureError(limit, retryAfterMs);
  }

  private count(limit: GuardLimit): void {
    this.rejected[limit] += 1;
    this.telemetry?.count('taskflow.guard.rejections', 1, { 'taskflow.limit': limit });
  }
}
