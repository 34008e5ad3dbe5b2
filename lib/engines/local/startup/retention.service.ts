import { Inject, Injectable } from '@nestjs/common';
import { CLOCK, FACT_PORT, TASKFLOW_OPTIONS, TASK_STORE } from '../../../config/taskflow.tokens.js';
import { TaskflowOptions } from '../../../config/taskflow.options.js';
import type { Clock } from '../../../contracts/clock.interface.js';
import type { FactPort } from '../../../contracts/fact-port.interface.js';
import type { TaskStore } from '../../../contracts/task-store.interface.js';
import { isEnded, type TaskState } from '../../../domain/task-state.js';
import { EventLogService } from '../wal/event-log.service.js';
import { failpoint } from '../../../primitives/failpoint.js';

const PAGE = 200;
/** Pages per sweep, so that a large backlog is worked off beside other work, not before it. */
const MAX_PAGES = 50;

/** Retention is a fact: what is too old gets a `pruned` entry, through the gate, and leaves the database when that is flushed. */
@Injectable()
export class RetentionService {
  constructor(
    @Inject(TASKFLOW_OPTIONS) private readonly options: TaskflowOptions,
    @Inject(CLOCK) private readonly clock: Clock,
    @Inject(FACT_PORT) private readonly facts: FactPort,
    @Inject(TASK_STORE) private readonly store: TaskStore,
    private readonly log: EventLogService,
  ) {}

  /** @returns how many tasks were pruned. @throws RepositoryError, EventLogError: the next sweep goes on. */
  async sweep(): Promise<number> {
    const { completedTtlMs, failedTtlMs } = this.options.retention;
    const now = this.clock.now();
    const done = new Set<string>();
    let pruned = 0;
    for (let page = 0; page < MAX_PAGES; page++) {
      // Rows stay until their `pruned` entry is flushed, so a page must reach beyond those of this sweep, and of earlier ones.
      const limit = PAGE + done.size;
      const candidates = await this.store.prunable(this.log.logId, now - completedTtlMs, now - failedTtlMs, limit);
      const outcomes = await Promise.all(candidates.filter((state) => !done.has(state.id)).map((state) => this.prune(state)));
      pruned += outcomes.filter(Boolean).length;
      for (const { id } of candidates) done.add(id);
      if (candidates.length < limit) break;
    }
    return pruned;
  }

  /** False: it came to life again, or an earlier sweep pruned it and its row still waits for the flush. */
  private async prune(state: TaskState): Promise<boolean> {
    if (!isEnded(state.status)) return false;
    const expect = { status: [state.status], fence: state.fence, life: state.life };
    failpoint('retention.before-pruned');
    const outcome = await this.facts.append([{ type: 'pruned', taskId: state.id, expect }]);
    failpoint('retention.after-pruned');
    return outcome.kind === 'applied';
  }
}
