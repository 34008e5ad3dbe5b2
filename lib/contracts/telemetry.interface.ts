export type CounterName =
  | 'taskflow.tasks.submitted'
  | 'taskflow.tasks.completed'
  | 'taskflow.tasks.failed'
  | 'taskflow.tasks.cancelled'
  | 'taskflow.tasks.retried'
  | 'taskflow.tasks.recovered'
  | 'taskflow.guard.rejections'
  | 'taskflow.flush.entries';
export type GaugeName =
  | 'taskflow.tasks.running'
  | 'taskflow.tasks.queued'
  | 'taskflow.dlq.size'
  | 'taskflow.streams.active'
  | 'taskflow.eventlog.unflushed_bytes'
  | 'taskflow.flush.lag_ms';
export type HistogramName = 'taskflow.task.duration_ms' | 'taskflow.task.queue_wait_ms' | 'taskflow.eventlog.sync_ms';
export type SpanName = 'taskflow.task.execute' | 'taskflow.task.handler' | 'taskflow.flush.batch' | 'taskflow.recovery.scan';
/** The only attributes there are: never a user id, key or payload. */
export interface TelemetryAttributes {
  readonly 'taskflow.task.name'?: string;
  readonly 'taskflow.limit'?: string;
  readonly 'taskflow.outcome'?: string;
}

/** The one way out to metrics and traces. A no-op where no hooks were given; never throws into the caller. */
export interface Telemetry {
  count(name: CounterName, by?: number, attributes?: TelemetryAttributes): void;
  record(name: HistogramName, value: number, attributes?: TelemetryAttributes): void;
  /** Read at collection time. */
  gauge(name: GaugeName, read: () => number): void;
  /** Runs `work` inside a span; `parent` is a W3C traceparent to continue. `outcome` on the handle becomes `taskflow.outcome`. */
  span<T>(
    name: SpanName,
    options: { attributes?: TelemetryAttributes; parent?: string | null },
    work: (span: SpanHandle) => Promise<T>,
  ): Promise<T>;
  /** W3C traceparent of the active context, if any. */
  traceparent(): string | undefined;
}
export interface SpanHandle {
  outcome(value: string): void;
  error(error: unknown): void;
}

/** The OpenTelemetry API's own objects and a logger, as `createHooks` returns them. Unknown here: the package is an optional peer. */
export interface TaskflowHooks {
  readonly tracer?: unknown;
  readonly meter?: unknown;
  /** Any Nest `LoggerService`; `console` fits. */
  readonly logger?: unknown;
}
