import type { LoggerService } from '@nestjs/common';
import type { Clock } from '../../../contracts/clock.interface.js';
import type { TaskEvent } from '../../../contracts/task-event.interface.js';
import type { TaskHistory } from '../../../contracts/task-history.interface.js';
import { previousEventsOf } from '../../../domain/run-history.js';
import { changed, type TaskState } from '../../../domain/task-state.js';

export interface ReadRun {
  readonly task: TaskState;
  readonly previousEvents: readonly TaskEvent[];
}

const NO_EVENTS: readonly TaskEvent[] = Object.freeze([]);
const FIRST_PAUSE_MS = 100;
const MAX_PAUSE_MS = 1_000;

/**
 * What a run needs beside its durable start: its input where that came not along, and the events of earlier attempts. The start cannot be
 * taken back, so a database that does not answer is asked again for as long as the run is this node's.
 */
export class StartedRuns {
  constructor(
    private readonly history: TaskHistory,
    private readonly clock: Clock,
    private readonly logger: LoggerService,
  ) {}

  /** Undefined: nothing more is to be read. The answer comes at once. */
  atHand(task: TaskState): ReadRun | undefined {
    return task.input !== undefined && task.fence === 1 ? { task, previousEvents: NO_EVENTS } : undefined;
  }

  /** @param isOurs false: the run was lost meanwhile. @returns undefined then. */
  async read(task: TaskState, isOurs: () => boolean): Promise<ReadRun | undefined> {
    for (let pauseMs = FIRST_PAUSE_MS; isOurs(); pauseMs = Math.min(pauseMs * 2, MAX_PAUSE_MS)) {
      try {
        const input = task.input ?? (await this.history.load(task.id))?.input;
        const previousEvents = task.fence === 1 ? NO_EVENTS : await previousEventsOf(this.history, task, task.lastSeq - 1);
        if (!isOurs()) return undefined;
        return { task: changed(task, { input }), previousEvents };
      } catch (error) {
        this.logger.warn(`Task ${task.id} has started, and what it needs cannot be read yet: ${String(error)}`);
        await new Promise<void>((resolve) => this.clock.after(pauseMs, resolve));
      }
    }
    return undefined;
  }
}
