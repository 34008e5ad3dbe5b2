import type { LoggerService } from '@nestjs/common';
import type { CounterName, GaugeName, HistogramName, SpanHandle, SpanName, TaskflowHooks, Telemetry, TelemetryAttributes } from '../contracts/telemetry.interface.js'; // prettier-ignore
import { COUNTERS, GAUGES, HISTOGRAMS } from './instruments.js';
import type { OtelApi, OtelContext, OtelCounter, OtelGauge, OtelGaugeCallback, OtelHistogram, OtelMeter, OtelSpan, OtelTracer } from './open-telemetry.interface.js'; // prettier-ignore
import { NO_SPAN, RecordedSpan } from './recorded-span.js';
import { loggerFor } from './taskflow-logger.js';
import { formatTraceparent, parseTraceparent } from './traceparent.js';

interface SpanOptions {
  readonly attributes?: TelemetryAttributes;
  /** A W3C traceparent to continue; null: a trace of its own; left out: the active trace. */
  readonly parent?: string | null;
}

/** Telemetry over the OpenTelemetry API's own objects. What throws in there is warned about once, and never reaches a task. */
export class OpenTelemetryService implements Telemetry {
  private readonly tracer: OtelTracer | undefined;
  private readonly meter: OtelMeter | undefined;
  private readonly logger: LoggerService;
  private readonly counters = new Map<CounterName, OtelCounter>();
  private readonly histograms = new Map<HistogramName, OtelHistogram>();
  private readonly gauges = new Map<GaugeName, { readonly gauge: OtelGauge; readonly callback: OtelGaugeCallback }>();
  private api: OtelApi | undefined;
  private hasWarned = false;

  constructor(hooks: TaskflowHooks | undefined) {
    this.tracer = hooks?.tracer as OtelTracer | undefined;
    this.meter = hooks?.meter as OtelMeter | undefined;
    this.logger = loggerFor(hooks, 'Telemetry');
  }

  /** Loads the optional peer `@opentelemetry/api`, which links spans to each other. Without a tracer it is not asked for. */
  async load(): Promise<void> {
    if (this.tracer === undefined || this.api !== undefined) return;
    try {
      this.api = (await import('@opentelemetry/api')) as unknown as OtelApi;
    } catch {
      this.logger.warn('A tracer was given, but @opentelemetry/api cannot be loaded: install it, or spans stay without parents.');
    }
  }

  /** Ends the gauges. The rest needs no end. */
  close(): void {
    for (const { gauge, callback } of this.gauges.values()) this.attempt(() => gauge.removeCallback(callback));
    this.gauges.clear();
  }

  count(name: CounterName, by = 1, attributes?: TelemetryAttributes): void {
    if (this.meter === undefined) return;
    try {
      let counter = this.counters.get(name);
      if (counter === undefined) this.counters.set(name, (counter = this.meter.createCounter(name, COUNTERS[name])));
      counter.add(by, attributes);
    } catch (error) {
      this.warnOnce(error);
    }
  }

  record(name: HistogramName, value: number, attributes?: TelemetryAttributes): void {
    if (this.meter === undefined) return;
    try {
      let histogram = this.histograms.get(name);
      if (histogram === undefined) this.histograms.set(name, (histogram = this.meter.createHistogram(name, HISTOGRAMS[name])));
      histogram.record(value, attributes);
    } catch (error) {
      this.warnOnce(error);
    }
  }

  /** A second reader of the same gauge takes the place of the first. */
  gauge(name: GaugeName, read: () => number): void {
    const meter = this.meter;
    if (meter === undefined) return;
    const callback: OtelGaugeCallback = (result) =>
      this.attempt(() => {
        const value = read();
        if (Number.isFinite(value)) result.observe(value);
      });
    this.attempt(() => {
      const known = this.gauges.get(name);
      known?.gauge.removeCallback(known.callback);
      const gauge = known?.gauge ?? meter.createObservableGauge(name, GAUGES[name]);
      gauge.addCallback(callback);
      this.gauges.set(name, { gauge, callback });
    });
  }

  span<T>(name: SpanName, options: SpanOptions, work: (span: SpanHandle) => Promise<T>): Promise<T> {
    if (this.tracer !== undefined) return this.traced(name, options, work);
    try {
      return work(NO_SPAN);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  private async traced<T>(name: SpanName, options: SpanOptions, work: (span: SpanHandle) => Promise<T>): Promise<T> {
    const parent = this.attempt(() => this.parentOf(options.parent));
    const span = this.attempt(() => this.start(name, options, parent));
    if (span === undefined) return work(NO_SPAN);
    const handle = new RecordedSpan(span, (act) => this.attempt(act));
    try {
      // Async, so that work that throws at once is a rejection too, and runs once.
      return await this.within(parent, span, async () => work(handle));
    } catch (error) {
      handle.error(error);
      throw error;
    } finally {
      handle.end();
    }
  }

  traceparent(): string | undefined {
    const api = this.api;
    if (api === undefined) return undefined;
    return this.attempt(() => {
      const active = api.trace.getSpanContext(api.context.active());
      return active !== undefined && api.isSpanContextValid(active) ? formatTraceparent(active) : undefined;
    });
  }

  private start(name: SpanName, { attributes, parent }: SpanOptions, context: OtelContext | undefined): OtelSpan | undefined {
    return this.tracer?.startSpan(name, { ...(attributes === undefined ? {} : { attributes }), root: parent === null }, context);
  }

  private parentOf(parent: string | null | undefined): OtelContext | undefined {
    if (this.api === undefined) return undefined;
    if (parent === undefined) return this.api.context.active();
    // A run starts wherever a slot got free: what is active there belongs to somebody else.
    const remote = parent === null ? undefined : parseTraceparent(parent);
    return remote === undefined ? this.api.ROOT_CONTEXT : this.api.trace.setSpanContext(this.api.ROOT_CONTEXT, remote);
  }

  /** Runs the work once, with the span active where that can be done. */
  private within<T>(parent: OtelContext | undefined, span: OtelSpan, work: () => Promise<T>): Promise<T> {
    const api = this.api;
    if (api === undefined || parent === undefined) return work();
    let running: Promise<T> | undefined;
    // Settled or not, what `work` gave is returned, whatever the context's keeper makes of it.
    this.attempt(() => void api.context.with(api.trace.setSpan(parent, span), () => (running ??= work())));
    return running ?? work();
  }

  private attempt<T>(act: () => T): T | undefined {
    try {
      return act();
    } catch (error) {
      this.warnOnce(error);
      return undefined;
    }
  }

  private warnOnce(error: unknown): void {
    if (this.hasWarned) return;
    this.hasWarned = true;
    this.logger.warn(
      `Telemetry failed (${error instanceof Error ? error.name : typeof error}); tasks go on, metrics or spans may be missing. Said once.`,
    );
  }
}
