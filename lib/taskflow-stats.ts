import { Inject, Injectable } from '@nestjs/common';
import { WORK_FEED } from './config/taskflow.tokens.js';
import type { TaskSystemStats } from './contracts/task-system.interface.js';
import { EventLogService } from './engines/local/wal/event-log.service.js';
import type { WorkFeed } from './contracts/work-feed.interface.js';
import { ExecutorService } from './executor/executor.service.js';
import { Overlay } from './engines/local/ledger/overlay.js';
import { FlushService } from './engines/local/projection/flush.service.js';
import { GuardService } from './guard/guard.service.js';
import { DeadLetterCount } from './dead-letters/dead-letter-count.service.js';
import { ManualRetry } from './dead-letters/manual-retry.service.js';
import { CancellationService } from './intake/cancellation.service.js';
import { RecoveryService } from './engines/local/startup/recovery.service.js';
import { StaleScan } from './engines/local/startup/stale-scan.service.js';
import { StreamService } from './stream/stream.service.js';
import { DegradationService } from './degradation.service.js';
import { TaskflowLifecycle } from './taskflow.lifecycle.js';

/** One reading of all counters. Counts of ended tasks are those of this process since its start. */
@Injectable()
export class TaskflowStats {
  constructor(
    @Inject(WORK_FEED) private readonly work: WorkFeed,
    private readonly lifecycle: TaskflowLifecycle,
    private readonly executor: ExecutorService,
    private readonly guard: GuardService,
    private readonly eventLog: EventLogService,
    private readonly overlay: Overlay,
    private readonly flush: FlushService,
    private readonly streams: StreamService,
    private readonly recovery: RecoveryService,
    private readonly deadLetterCount: DeadLetterCount,
    private readonly manual: ManualRetry,
    private readonly stale: StaleScan,
    private readonly cancellation: CancellationService,
    private readonly degradation: DegradationService,
  ) {}

  read(): TaskSystemStats {
    const runs = this.executor.stats;
    const { queued, delayed, parked } = this.work.size;
    const { status } = this.lifecycle;
    return {
      status,
      degraded: status === 'degraded' ? this.degradation.list() : [],
      tasks: {
        queued,
        delayed,
        running: this.executor.running,
        completed: runs.completed,
        failed: runs.failed + this.work.expired + this.recovery.ended.failed,
        cancelled: runs.cancelled + this.cancellation.cancelledWaiting + this.recovery.ended.cancelled,
        retried: runs.retried + runs.postponed + runs.released + this.manual.retried,
        recovered: this.recovery.recovered,
        deadLettered: this.deadLetterCount.size,
        withoutHandler: parked,
      },
      guard: { rejections: this.guard.rejections, slotsInUse: this.guard.slots.inUse },
      eventLog: {
        state: this.eventLog.state,
        durableSeq: this.eventLog.durableSeq,
        unflushedBytes: this.eventLog.unflushedBytes,
        segments: this.eventLog.segments,
        overlayBytes: this.overlay.bytes,
      },
      flush: this.flush.stats(),
      streams: this.streams.stats(),
      recovery: { staleElsewhere: this.stale.stale.length },
    };
  }
}
