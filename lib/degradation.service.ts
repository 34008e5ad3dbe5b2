import { Inject, Injectable } from '@nestjs/common';
import { TASK_STORE } from './config/taskflow.tokens.js';
import type { Degradation, DegradationName } from './contracts/degradation.interface.js';
import type { TaskStore } from './contracts/task-store.interface.js';
import { FlushService } from './engines/local/projection/flush.service.js';
import { DatabaseCatchUp } from './engines/local/startup/database-catch-up.service.js';
import { EventLogService } from './engines/local/wal/event-log.service.js';
import { DEGRADATIONS } from './lifecycle/degradations.js';

/** What keeps a system that runs from being whole. */
@Injectable()
export class DegradationService {
  constructor(
    private readonly eventLog: EventLogService,
    private readonly flush: FlushService,
    private readonly catchUp: DatabaseCatchUp,
    @Inject(TASK_STORE) private readonly store: TaskStore,
  ) {}

  /** The worst first. Empty: it is whole. */
  list(): readonly Degradation[] {
    return this.names().map((name) => DEGRADATIONS[name]);
  }

  private names(): DegradationName[] {
    const names: DegradationName[] = [];
    const { state } = this.eventLog;
    if (state !== 'open') names.push(`log-${state}`);
    if (this.flush.halted !== undefined) names.push('flush-halted');
    if (this.flush.isWorkerDying) names.push('flush-worker-dies');
    if (this.flush.isRefused) names.push('database-refuses');
    if (this.store.isSilent) names.push('database-silent');
    if (!this.catchUp.isComplete) names.push('database-not-read');
    return names;
  }
}
