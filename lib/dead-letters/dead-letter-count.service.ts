import { Inject, Injectable, type LoggerService } from '@nestjs/common';
import { CHANGE_FEED, CLOCK, LOGGER, TASKFLOW_OPTIONS, TELEMETRY } from '../config/taskflow.tokens.js';
import { TaskflowOptions } from '../config/taskflow.options.js';
import type { ChangeFeed } from '../contracts/change-feed.interface.js';
import type { Clock } from '../contracts/clock.interface.js';
import type { CommittedFact } from '../contracts/task-history.interface.js';
import type { Telemetry } from '../contracts/telemetry.interface.js';
import { InterruptibleLoop } from '../primitives/interruptible-loop.js';
import { DeadLetterService } from './dead-letter.service.js';

const MAX_TRIES = 5;

/**
 * How many dead letters there are, for statistics: counted anew at each scan, by committed facts in between.
 * Those that are too old or too many leave at the next scan.
 */
@Injectable()
export class DeadLetterCount {
  private counted = 0;
  private changes = 0;

  private readonly loop: InterruptibleLoop;

  constructor(
    @Inject(TASKFLOW_OPTIONS) private readonly options: TaskflowOptions,
    @Inject(CLOCK) clock: Clock,
    @Inject(LOGGER) logger: LoggerService,
    @Inject(TELEMETRY) private readonly telemetry: Telemetry,
    @Inject(CHANGE_FEED) private readonly facts: ChangeFeed,
    private readonly deadLetters: DeadLetterService,
  ) {
    this.loop = new InterruptibleLoop(clock, {
      intervalMs: options.recovery.scanIntervalMs,
      turn: () => this.recount(),
      // The next turn tries again; a database that is away is told of already.
      onError: (error) =>
        logger.debug?.(`The count of dead letters was put off: ${error instanceof Error ? error.message : String(error)}`),
    });
  }

  get size(): number {
    return Math.max(0, Math.min(this.counted, this.options.guard.dlq.maxSize));
  }

  /** Counts at once, and follows from here on. */
  start(): void {
    this.telemetry.gauge('taskflow.dlq.size', () => this.size);
    this.facts.onCommitted((facts) => {
      for (const fact of facts) this.change(changeBy(fact));
    });
    this.loop.start();
    this.loop.wake();
  }

  stop(): Promise<void> {
    return this.loop.stop();
  }

  /** Takes over what the engine counts. A fact that came while it counted may be in it or not: it counts again, some times. */
  async recount(): Promise<void> {
    for (let tries = 1; ; tries++) {
      const { changes } = this;
      const size = await this.deadLetters.size();
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
