import type { CounterName, SpanHandle, TelemetryAttributes } from '../contracts/telemetry.interface.js';
import type { RunOutcome } from './outcome-decision.js';
import type { RunSurroundings, TaskRun } from './task-run.js';

const COUNTERS: Partial<Record<RunOutcome, CounterName>> = {
  completed: 'taskflow.tasks.completed',
  failed: 'taskflow.tasks.failed',
  cancelled: 'taskflow.tasks.cancelled',
  retried: 'taskflow.tasks.retried',
  postponed: 'taskflow.tasks.retried',
  released: 'taskflow.tasks.retried',
};

/** Counts, measures and traces runs. */
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

  /** @param outcome undefined: nothing was written. */
  ended(run: TaskRun, outcome: RunOutcome | undefined, span: SpanHandle): void {
    span.outcome(outcome ?? 'dropped');
    if (run.verdictError !== undefined) span.error(run.reason);
    if (outcome !== undefined) this.count(run, outcome);
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
