import type { LoggerService } from '@nestjs/common';
import { idempotencyKey, type IdempotencyKey, type TaskId, taskName, type TaskName, userId, type UserId } from '../contracts/ids.js';
import type { TaskEvent } from '../contracts/task-event.interface.js';
import type { RecoveryContext, RecoveryReason, TaskContext } from '../contracts/task-handler.interface.js';
import type { TaskHistory } from '../contracts/task-history.interface.js';
import { BackpressureError } from '../errors/admission.errors.js';
import { ValidationError } from '../errors/request.errors.js';
import { boundLogger } from '../telemetry/taskflow-logger.js';
import { customBody, progressBody } from './run-entry.js';
import { eventsBetween } from '../domain/run-history.js';
import type { RunSurroundings, TaskRun } from './task-run.js';

/** What a handler sees of its run. */
export class TaskRunContext implements TaskContext {
  private bound: LoggerService | undefined;

  constructor(
    protected readonly run: TaskRun,
    private readonly shared: RunSurroundings,
    private readonly storage: TaskHistory,
  ) {}

  get taskId(): TaskId {
    return this.run.task.id;
  }
  get name(): TaskName {
    return taskName(this.run.task.name);
  }
  get userId(): UserId | null {
    const owner = this.run.task.userId;
    return owner === null ? null : userId(owner);
  }
  get idempotencyKey(): IdempotencyKey {
    return idempotencyKey(this.run.task.key ?? this.run.task.id);
  }
  get attempt(): number {
    return this.run.task.attempt;
  }
  get maxAttempts(): number {
    return this.run.task.maxAttempts;
  }
  get fence(): number {
    return this.run.task.fence;
  }
  get signal(): AbortSignal {
    return this.run.signal;
  }
  get logger(): LoggerService {
    const { name, id, attempt } = this.run.task;
    return (this.bound ??= boundLogger(this.shared.env.logger, `Task ${name} ${id} attempt ${attempt}`));
  }
  get previousEvents(): readonly TaskEvent[] {
    return this.run.start.previousEvents;
  }

  history(): AsyncIterable<TaskEvent> {
    return eventsBetween(this.storage, this.run.task, 0, this.run.task.lastSeq - 1);
  }

  // Fields, so that `const { progress } = ctx` works.
  readonly progress = (payload?: unknown): Promise<void> => {
    try {
      return this.run.write('progress', progressBody(payload, this.shared.env.options.limits));
    } catch (error) {
      return this.refused(error);
    }
  };

  readonly emit = (eventName: string, payload?: unknown): Promise<void> => {
    try {
      return this.run.write('custom', customBody(eventName, payload, this.shared.env.options.limits));
    } catch (error) {
      return this.refused(error);
    }
  };

  private refused(error: unknown): Promise<void> {
    if (BackpressureError.is(error)) {
      this.shared.counters.runLimitRejections += 1;
      this.shared.env.telemetry.count('taskflow.guard.rejections', 1, { 'taskflow.limit': 'run' });
    }
    if (ValidationError.is(error)) this.run.failAttempt(error);
    const rejected = Promise.reject<void>(error);
    rejected.catch(() => undefined); // safe to ignore
    return rejected;
  }
}

/** What `recover` sees: the same run, and where the last one stopped. */
export class RecoveryRunContext extends TaskRunContext implements RecoveryContext {
  constructor(
    run: TaskRun,
    shared: RunSurroundings,
    storage: TaskHistory,
    readonly reason: RecoveryReason,
  ) {
    super(run, shared, storage);
    const last = lastOfRun(run.start.previousEvents);
    this.lastSeq = last?.seq ?? Math.max(0, run.task.lastSeq - 1);
    const at = last?.timestamp ?? run.task.startedAt ?? run.task.createdAt;
    this.timeSinceLastEventMs = Math.max(0, shared.env.clock.now() - at);
  }
  readonly lastSeq: number;
  readonly timeSinceLastEventMs: number;
}

/** The last event that the interrupted run made: those after it only say that it was interrupted. */
function lastOfRun(events: readonly TaskEvent[]): TaskEvent | undefined {
  return events.findLast((event) => event.type !== 'recovered' && event.type !== 'retry');
}
