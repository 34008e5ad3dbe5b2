import { Inject, Injectable } from '@nestjs/common';
import { COMMITTED_FACTS, TASKFLOW_OPTIONS } from '../config/taskflow.tokens.js';
import { TaskflowOptions } from '../config/taskflow.options.js';
import type { CommittedFact, CommittedFacts } from '../contracts/task-history.interface.js';

/**
 * How many dead letters there are, for statistics: counted by the database at each scan, by committed facts in between.
 * Those that are too old or too many leave at the next scan.
 */
@Injectable()
export class DeadLetterCount {
  private counted = 0;

  constructor(
    @Inject(TASKFLOW_OPTIONS) private readonly options: TaskflowOptions,
    @Inject(COMMITTED_FACTS) private readonly facts: CommittedFacts,
  ) {}

  get size(): number {
    return Math.max(0, Math.min(this.counted, this.options.guard.dlq.maxSize));
  }

  start(): void {
    this.facts.onCommitted((facts) => {
      for (const fact of facts) this.counted += changeBy(fact);
    });
  }

  /** What the database says now. */
  recount(size: number): void {
    this.counted = size;
  }
}

function changeBy({ task, entry }: CommittedFact): number {
  if (entry.type === 'error') return 1;
  if (entry.type === 'dlq-removed') return -1;
  // A manual retry is the one `retry` that begins a life: no failure counts in it yet, and no run has started.
  return entry.type === 'retry' && task.life > 1 && task.startedAt === null ? -1 : 0;
}
