import type { Clock, IdSource } from '../../../../contracts/clock.interface.js';
import type { Watermark } from '../../../../contracts/event-log.interface.js';
import type { FlushCursor, Projector } from '../../../../contracts/task-store.interface.js';
import { CoalescedSender } from '../coalesced-sender.js';
import type { FlushNotice } from '../flush-notice.js';
import { FlushLoop } from '../flush-loop.js';
import type { BreakerState, FlushListener, FlushLoopOptions } from '../flusher.interface.js';
import type { FrameSource } from '../frame-source.interface.js';
import type { WorkerMessage, WorkerReport } from './worker-protocol.js';
import { describeHalt, mergeReports } from './worker-protocol.js';

const REPORT_GAP_MS = 10;

export interface WorkerSessionParts {
  readonly source: FrameSource;
  readonly projector: Projector;
  readonly clock: Clock;
  readonly ids: Pick<IdSource, 'random'>;
  /** To the parent; `done` when the channel took it. */
  readonly send: (message: WorkerMessage, done: () => void) => void;
  /** The loop ended for good, and the parent was told. */
  readonly onHalted: () => void;
}

/** One flush loop and its conversation with the parent. */
export class WorkerSession implements FlushListener {
  private readonly loop: FlushLoop;
  private readonly reports: CoalescedSender<WorkerReport>;
  private breakerState: BreakerState = 'closed';
  private reason: string | undefined;

  constructor(
    options: FlushLoopOptions,
    private readonly parts: WorkerSessionParts,
  ) {
    this.loop = new FlushLoop(options, { ...parts, listener: this });
    this.reports = new CoalescedSender(parts.clock, REPORT_GAP_MS, parts.send, mergeReports);
  }

  start(watermark: Watermark): void {
    this.loop.start(watermark);
  }

  advance(watermark: Watermark): void {
    this.loop.advance(watermark);
  }

  flushNow(watermark: Watermark): void {
    this.loop.flushNow(watermark);
  }

  /** Ends the loop after its batch, and resolves once the parent was told of it. */
  async stop(): Promise<void> {
    await this.loop.stop();
    await this.reports.drain();
  }

  applied(cursor: FlushCursor, quarantined: number): void {
    this.reports.offer(this.report(cursor, quarantined));
  }

  breaker(state: BreakerState, reason: string | undefined): void {
    this.breakerState = state;
    this.reason = reason;
    this.reports.offer(this.report(undefined, 0));
  }

  noticed(notice: FlushNotice): void {
    this.reports.offer({ ...this.report(undefined, 0), notices: [notice] });
  }

  halted(error: Error): void {
    this.parts.send(describeHalt(error), this.parts.onHalted);
  }

  private report(cursor: FlushCursor | undefined, quarantined: number): WorkerReport {
    return { type: 'report', cursor, quarantined, breaker: this.breakerState, reason: this.reason, notices: [] };
  }
}
