import type { WaitingTallies } from '../../../contracts/waiting-tally.interface.js';
import type { WorkSource } from './work-source.interface.js';
import type { Lane } from './lane.js';
import type { QueueColumns } from './queue-columns.js';

/**
 * Counts the tasks of the queue by what they wait for, where submits are asked whether there is room. Parked tasks wait for another
 * process: they keep no submit out.
 */
export class QueueCounts {
  private delayed = 0;
  /** Tasks that could run, were their handler defined. */
  private parked = 0;

  constructor(
    private readonly columns: QueueColumns,
    private readonly waiting: WaitingTallies,
  ) {}

  get size(): WorkSource['size'] {
    const { delayed, parked } = this;
    return { queued: this.columns.count - delayed - parked, delayed, parked };
  }

  /** A task began to wait for its time (1), or no longer does (-1). */
  timed({ user }: Lane, by: 1 | -1): void {
    this.delayed += by;
    this.waiting.delayed.change(user.userId, by);
  }

  /** A task began to wait for a slot (1), or no longer does (-1). */
  ready(lane: Lane, slot: number, by: 1 | -1): void {
    const { handler, user } = lane;
    const isUnasked = user.userId === null && this.cameUnasked(lane, slot);
    if (isUnasked) lane.unasked += by;
    handler.ready += by;
    if (handler.isDefined) this.waiting.queued.change(user.userId, by, isUnasked);
    else this.parked += by;
  }

  /** These lanes were parked: their handler became known. */
  unparked(lanes: Iterable<Lane>): void {
    for (const { user, ready, unasked } of lanes) {
      this.parked -= ready;
      this.waiting.queued.change(user.userId, ready - unasked);
      this.waiting.queued.change(user.userId, unasked, true);
    }
  }

  /** No submit asked for its place: its time came, or its process died. */
  private cameUnasked({ kind }: Lane, slot: number): boolean {
    return kind !== 0 || this.columns.runAt(slot) > 0 || this.columns.notBefore(slot) > 0;
  }
}
