import type { Clock } from '../../../contracts/clock.interface.js';
import type { Watermark } from '../../../contracts/event-log.interface.js';
import type { FlushLoopOptions } from './flusher.interface.js';

/**
 * When a flush loop works: a full batch at once, anything at most `flushIntervalMs` after it became durable, everything at
 * once on demand. Holds the loop's only timer.
 */
export class FlushSchedule {
  watermark: Watermark = { segment: 0, byteOffset: 0, seq: 0 };
  private appliedSeq = 0;
  /** Highest sequence that a pass has taken on. */
  private takenSeq = 0;
  /** Sequence up to which nothing waits for the interval. */
  private urgentSeq = 0;
  /** Monotonic ms at which the first entry behind `takenSeq` became known. */
  private waitingSince: number | undefined;
  private isStopped = false;
  private isProbeAsked = false;
  private wake: (() => void) | undefined;

  constructor(
    private readonly options: Pick<FlushLoopOptions, 'flushIntervalMs' | 'maxBatchSize'>,
    private readonly clock: Clock,
  ) {}

  get isIdle(): boolean {
    return this.watermark.seq <= this.appliedSeq;
  }

  advance(watermark: Watermark): void {
    if (watermark.seq <= this.watermark.seq) return;
    this.watermark = watermark;
    this.waitingSince ??= this.clock.monotonic();
    this.wake?.();
  }

  flushNow(watermark: Watermark): void {
    this.advance(watermark);
    this.urgentSeq = this.watermark.seq;
    this.isProbeAsked = true;
    this.wake?.();
  }

  /** What is left of a failed pass has waited long enough. */
  hurry(): void {
    this.urgentSeq = Math.max(this.urgentSeq, this.takenSeq);
  }

  applied(seq: number): void {
    this.appliedSeq = seq;
  }

  stop(): void {
    this.isStopped = true;
    this.wake?.();
  }

  /** Everything that is durable by now: the work of the next pass. */
  take(): Watermark {
    this.takenSeq = this.watermark.seq;
    this.waitingSince = undefined;
    this.isProbeAsked = false;
    return this.watermark;
  }

  /** Returns when a pass is due, or at the stop. */
  async untilDue(): Promise<void> {
    while (!this.isStopped) {
      const waitMs = this.dueInMs();
      if (waitMs <= 0) return;
      await this.sleep(waitMs);
    }
  }

  /** Leaves the database alone for that long. Only a stop or `flushNow` cut it short, the latter once. */
  async pause(delayMs: number): Promise<void> {
    const end = this.clock.monotonic() + delayMs;
    for (;;) {
      const leftMs = end - this.clock.monotonic();
      if (this.isStopped || this.isProbeAsked || leftMs <= 0) break;
      await this.sleep(leftMs);
    }
    this.isProbeAsked = false;
  }

  private dueInMs(): number {
    if (this.isIdle) return Infinity;
    if (this.watermark.seq - this.appliedSeq >= this.options.maxBatchSize || this.appliedSeq < this.urgentSeq) return 0;
    return (this.waitingSince ?? 0) + this.options.flushIntervalMs - this.clock.monotonic();
  }

  private sleep(delayMs: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = delayMs === Infinity ? undefined : this.clock.after(delayMs, () => this.wake?.());
      this.wake = () => {
        this.wake = undefined;
        timer?.cancel();
        resolve();
      };
    });
  }
}
