import { Inject, Injectable } from '@nestjs/common';
import { ENGINE } from './config/taskflow.tokens.js';
import type { Engine } from './contracts/engine.interface.js';
import type { TaskSystemStats } from './contracts/task-system.interface.js';
import { DeadLetterCount } from './dead-letters/dead-letter-count.service.js';
import { ManualRetry } from './dead-letters/manual-retry.service.js';
import { ExecutorService } from './executor/executor.service.js';
import { CancellationService } from './intake/cancellation.service.js';
import { StreamService } from './stream/stream.service.js';
import { TaskflowLifecycle } from './taskflow.lifecycle.js';

/** One reading of all counters. Counts of ended tasks are those of this process since its start. */
@Injectable()
export class TaskflowStats {
  constructor(
    @Inject(ENGINE) private readonly engine: Engine,
    private readonly lifecycle: TaskflowLifecycle,
    private readonly executor: ExecutorService,
    private readonly streams: StreamService,
    private readonly deadLetterCount: DeadLetterCount,
    private readonly manual: ManualRetry,
    private readonly cancellation: CancellationService,
  ) {}

  read(): TaskSystemStats {
    const runs = this.executor.stats;
    const { work } = this.engine;
    const { status } = this.lifecycle;
    const { queued, delayed, parked } = work.size;
    const { guard, eventLog, flush, leftovers, staleElsewhere } = this.engine.stats();
    return {
      status,
      degraded: status === 'degraded' ? this.engine.degraded() : [],
      tasks: {
        queued,
        delayed,
        running: this.executor.running,
        completed: runs.completed,
        failed: runs.failed + work.expired + leftovers.failed,
        cancelled: runs.cancelled + this.cancellation.cancelledWaiting + leftovers.cancelled,
        retried: runs.retried + runs.postponed + runs.released + this.manual.retried,
        recovered: leftovers.recovered,
        deadLettered: this.deadLetterCount.size,
        withoutHandler: parked,
      },
      guard,
      eventLog,
      flush,
      streams: this.streams.stats(),
      recovery: { staleElsewhere },
    };
  }
}
