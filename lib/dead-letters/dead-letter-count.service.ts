import { Inject, Injectable } from '@nestjs/common';
import { CHANGE_FEED, TASKFLOW_OPTIONS } from '../config/taskflow.tokens.js';
import { TaskflowOptions } from '../config/taskflow.options.js';
import type { ChangeFeed } from '../contracts/change-feed.interface.js';
import type { CommittedFact } from '../contracts/task-history.interface.js';

const MAX_TRIES = 5;

/**
 * How many dead letters there are, for statistics: counted anew at each scan, by committed facts in between.
 * Those that are too old or too many leave at the next scan.
 */
@Injectable()
export class DeadLetterCount {
  private counted = 0;
  private changes = 0;

  constructor(
    @Inject(TASKFLOW_OPTIONS) private readonly options: TaskflowOptions,
    @Inject(CHANGE_FEED) private readonly facts: ChangeFeed,
  ) {}

  get size(): number {
    return Math.max(0, Math.min(this.counted, this.options.guard.dlq.maxSize));
  }

  start(): void {
    this.facts.onCommitted((facts) => {
      for (const fact of facts) this.change(changeBy(fact));
    });
  }

  /** Takes over what `count` gives. A fact that came while it counted may be in it or not: it counts again, some times. */
  async recount(count: () => Promise<number>): Promise<void> {
    for (let tries = 1; ; tries++) {
      const { changes } = this;
      const size = await count();
      if (this.changes !== changes && tries < MAX_TRIES) continue;
      this.counted = size;
      return;
    }
  }

  private change(by: number): void {
    this.counted += by;
    if (by !== 0) this.changes++;
  }
}

function changeBy({ task, entry }: CommittedFact): number {
  if (entry.type === 'error') return 1;
  if (entry.type === 'dlq-removed') return wasDead(entry) ? -1 : 0;
  // A manual retry is the one `retry` that begins a life: no failure counts in it yet, and no run has started.
  return entry.type === 'retry' && task.life > 1 && task.startedAt === null && wasDead(entry) ? -1 : 0;
}

/** Entries that end a dead letter say so where there was none: the task was cancelled, or had been removed before. */
const wasDead = ({ body }: CommittedFact['entry']): boolean => !body || (JSON.parse(body) as { dead?: unknown }).dead !== false;
