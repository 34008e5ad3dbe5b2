import type { CounterName, SpanHandle, TelemetryAttributes } from '../contracts/telemetry.interface.js';
import { traceOf } from '../domain/error-parts.js';
import type { RunOutcome } from './outcome-decision.js';
import type { Concluded } from './run-conclusion.js';
import type { RunSurroundings, TaskRun } from './task-run.js';

const COUNTERS: Partial<Record<RunOutcome, CounterName>> = {
  completed: 'taskflow.tasks.completed',
  failed: 'taskflow.tasks.failed',
  cancelled: 'taskflow.tasks.cancelled',
  retried: 'taskflow.tasks.retried',
  postponed: 'taskflow.tasks.retried',
  released: 'taskflow.tasks.retried',
};

const INTERRUPTED = 'The handler was interrupted and gave no result.';

/** Counts, measures, traces and logs runs. */
export class RunReport {
  private readonly attributes = new Map<string, TelemetryAttributes>();

  constructor(private readonly shared: RunSurroundings) {}

  attributesOf(name: string): TelemetryAttributes {
    let attributes = this.attributes.get(name);
    if (attributes === undefined) this.attributes.set(name, (attributes = { 'taskflow.task.name': name }));
    return attributes;
  }

  /** Continues the trace of the submit. @param work ends the run, and tells `ended`. */
  span(run: TaskRun, work: (span: SpanHandle) => Promise<void>): Promise<void> {
    const { attributes, task } = run.start;
    this.recordQueueWait(run);
    return this.shared.env.telemetry.span('taskflow.task.execute', { attributes, parent: task.traceparent }, work);
  }

  /** @param concluded undefined: nothing was written. */
  ended(run: TaskRun, concluded: Concluded | undefined, span: SpanHandle): void {
    span.outcome(concluded?.outcome ?? 'dropped');
    if (concluded === undefined) {
      if (run.verdictError !== undefined) span.error(run.reason);
      return;
    }
    this.count(run, concluded.outcome);
    if (concluded.outcome === 'failed' || concluded.outcome === 'retried') this.failed(run, concluded, span);
  }

  /** By default whoever operates the application can find the line at fault: stacks are nowhere else. */
  private failed(run: TaskRun, { outcome, task }: Concluded, span: SpanHandle): void {
    const { logger } = this.shared.env;
    const error = run.verdictError === undefined ? (run.thrown ?? new Error(INTERRUPTED)) : run.reason;
    span.error(error);
    const { name, id, attempt, maxAttempts } = run.task;
    const what = `Task ${name} (${id}) failed at attempt ${attempt} of ${maxAttempts}`;
    if (outcome === 'failed') {
      const why = attempt < maxAttempts ? ', and its error says that no other would fare better' : '';
      logger.error(`${what}${why}. It is not tried again, unless by tasks.retry().`, traceOf(error));
    } else {
      // In one text, as most loggers take a second argument of `warn` for something else than a stack.
      logger.warn(`${what}. The next attempt comes in ${task.retryDelayMs ?? 0} ms.\n${traceOf(error)}`);
    }
  }

  private recordQueueWait({ start: { task, attributes } }: TaskRun): void {
    const waitedMs = (task.startedAt ?? task.runAt) - task.runAt;
    this.shared.env.telemetry.record('taskflow.task.queue_wait_ms', Math.max(0, waitedMs), attributes);
  }

  private count(run: TaskRun, outcome: RunOutcome): void {
    const { env, counters } = this.shared;
    counters[outcome] += 1;
    const counter = COUNTERS[outcome];
    if (counter !== undefined) env.telemetry.count(counter, 1, run.start.attributes);
    env.telemetry.record('taskflow.task.duration_ms', env.clock.monotonic() - run.startedAt, run.start.attributes);
  }
}
