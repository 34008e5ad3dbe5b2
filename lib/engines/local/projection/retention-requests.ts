import type { EventLogPort } from '../../../contracts/event-log.interface.js';
import type { TaskStore } from '../../../contracts/task-store.interface.js';

/**
 * Asks the log to delete old segments whenever the database came past the end of one, and not for every batch: each time
 * the cursor is read from the database once more, through a connection of its own.
 */
export class RetentionRequests {
  /** First sequences of segments that the database has not reached. */
  private readonly ahead: number[] = [];
  private newestSegment = 0;
  /** True at the start: what the last process left may be due. */
  private isDue = true;
  private hasFailed = false;
  private wasTold = false;
  private running: Promise<void> | undefined;

  constructor(
    private readonly logId: string,
    private readonly log: Pick<EventLogPort, 'retain'>,
    private readonly store: Pick<TaskStore, 'confirmedCursor'>,
    private readonly onError: (error: unknown) => void,
  ) {}

  /** The segment that is written now. Called after every frame. */
  wroteIn(segment: number): void {
    if (segment <= this.newestSegment) return;
    this.newestSegment = segment;
    this.ahead.push(segment);
  }

  applied(seq: number): void {
    while (this.ahead[0] !== undefined && this.ahead[0] <= seq + 1) {
      this.ahead.shift();
      this.isDue = true;
    }
    if (!this.isDue || this.running !== undefined) return;
    this.hasFailed = false;
    this.running = this.retain();
  }

  /** Resolves when no deletion is under way. */
  async settled(): Promise<void> {
    await this.running;
  }

  private async retain(): Promise<void> {
    try {
      // Once more for what came due while the last one ran: it may have read the cursor before that.
      while (this.isDue && !this.hasFailed) await this.retainOnce();
    } finally {
      this.running = undefined;
    }
  }

  private async retainOnce(): Promise<void> {
    this.isDue = false;
    try {
      await this.log.retain(async () => (await this.store.confirmedCursor(this.logId))?.appliedSeq ?? 0);
    } catch (error) {
      // Nothing was deleted; the next batch asks again, and only the first failure in a row is news.
      this.isDue = true;
      this.hasFailed = true;
      if (!this.wasTold) this.onError(error);
      this.wasTold = true;
      return;
    }
    this.wasTold = false;
  }
}
