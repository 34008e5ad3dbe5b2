import { TaskflowOptions } from '../../../config/taskflow.options.js';
import type { Clock } from '../../../contracts/clock.interface.js';
import type { FactPort } from '../../../contracts/fact-port.interface.js';
import type { TaskStore } from '../../../contracts/task-store.interface.js';
import { isEnded, type TaskState } from '../../../domain/task-state.js';
import { EventLogService } from '../wal/event-log.service.js';
import { failpoint } from '../../../primitives/failpoint.js';

const PAGE = 200;
/** Tasks that one sweep may prune: a backlog is worked off beside other work, and a clock that is wrong at the start takes its time. */
export const MAX_PER_SWEEP = 10_000;

/**
 * Retention is a fact: what is too old gets a `pruned` entry, through the gate, and leaves the database when that is flushed. The time by
 * which tasks grow old is the wall clock of the start, and from there on the monotonic one where that is behind: a clock that is set
 * forward while the process runs prunes nothing before its time.
 */
export class RetentionService {
  private readonly startedAt: { readonly wall: number; readonly monotonic: number };

  constructor(
    private readonly options: TaskflowOptions,
    private readonly clock: Clock,
    private readonly facts: FactPort,
    private readonly store: TaskStore,
    private readonly log: EventLogService,
  ) {
    this.startedAt = { wall: clock.now(), monotonic: clock.monotonic() };
  }

  /** @returns how many tasks were pruned. @throws RepositoryError, EventLogError: the next sweep goes on. */
  async sweep(): Promise<number> {
    const { completedTtlMs, failedTtlMs } = this.options.retention;
    const now = this.now();
    const done = new Set<string>();
    let pruned = 0;
    while (done.size < MAX_PER_SWEEP) {
      // Rows stay until their `pruned` entry is flushed, so a page must reach beyond those of this sweep, and of earlier ones.
      const limit = PAGE + done.size;
      const candidates = await this.store.prunable(this.log.logId, now - completedTtlMs, now - failedTtlMs, limit);
      const next = candidates.filter((state) => !done.has(state.id)).slice(0, PAGE);
      const outcomes = await Promise.all(next.map((state) => this.prune(state)));
      pruned += outcomes.filter(Boolean).length;
      for (const { id } of next) done.add(id);
      if (next.length < PAGE) break;
    }
    return pruned;
  }

  private now(): number {
    const { wall, monotonic } = this.startedAt;
    return Math.min(this.clock.now(), wall + (this.clock.monotonic() - monotonic));
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
