import type { BackpressureOptions } from '../config/backpressure.options.js';
import type { WaitingTallies } from '../contracts/waiting-tally.interface.js';
import { WaitingCount } from './waiting-count.js';

/** One user may fill this part of a bound, so that no single one closes it to all others. */
const USERS_PER_BOUND = 10;

/** What waits, counted where it waits: the queue counts its own, the guard what is on its way there or waits for a slot. */
export class WaitingTasks implements WaitingTallies {
  readonly queued: WaitingCount;
  readonly delayed: WaitingCount;

  constructor({ maxQueuedSize, maxDelayedSize, maxTasksPerUserWindow }: BackpressureOptions) {
    // Whoever stays within his window must be able to use it.
    const ofUser = (max: number): number => Math.max(Math.floor(max / USERS_PER_BOUND), maxTasksPerUserWindow);
    this.queued = new WaitingCount({ max: maxQueuedSize, maxPerUser: ofUser(maxQueuedSize) });
    this.delayed = new WaitingCount({ max: maxDelayedSize, maxPerUser: ofUser(maxDelayedSize) });
  }
}
