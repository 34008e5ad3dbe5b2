import { TaskflowOptions } from '../../../config/taskflow.options.js';
import type { Clock } from '../../../contracts/clock.interface.js';
import type { TaskStore } from '../../../contracts/task-store.interface.js';
import type { Telemetry } from '../../../contracts/telemetry.interface.js';
import { EventLogService } from '../wal/event-log.service.js';

const MAX_REPORTED = 100;

export interface StaleTask {
  readonly id: string;
  readonly home: string;
  readonly lastSeenAt: number;
}

/** Looks for running tasks of other homes that show no sign of life. It reports; it runs none: only their own log may append for them. */
export class StaleScan {
  private found: readonly StaleTask[] = [];

  constructor(
    private readonly options: TaskflowOptions,
    private readonly clock: Clock,
    private readonly store: TaskStore,
    private readonly telemetry: Telemetry,
    private readonly log: EventLogService,
  ) {}

  /** As of the last scan; at most 100. */
  get stale(): readonly StaleTask[] {
    return this.found;
  }

  async scan(): Promise<void> {
    const before = this.clock.now() - this.options.recovery.staleThresholdMs;
    await this.telemetry.span('taskflow.recovery.scan', {}, async () => {
      this.found = await this.store.staleElsewhere(this.log.logId, before, MAX_REPORTED);
    });
  }
}
