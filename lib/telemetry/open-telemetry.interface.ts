/**
 * What is used of `@opentelemetry/api` 1.x, spelled out here: the package is an optional peer, so that none of its types may be in ours.
 */
export interface OtelSpanContext {
  readonly traceId: string;
  readonly spanId: string;
  readonly traceFlags: number;
  readonly isRemote?: boolean;
}
/** Opaque: made and read by the API only. */
export interface OtelContext {
  getValue(key: symbol): unknown;
}
export interface OtelSpan {
  setAttribute(key: string, value: string): unknown;
  recordException?(exception: { name: string; message: string; stack: string }): unknown;
  setStatus(status: { code: number; message?: string }): unknown;
  end(): void;
}
export interface OtelTracer {
  startSpan(name: string, options: { attributes?: object; root?: boolean }, context?: OtelContext): OtelSpan;
}
export interface OtelCounter {
  add(value: number, attributes?: object): void;
}
export interface OtelHistogram {
  record(value: number, attributes?: object): void;
}
export type OtelGaugeCallback = (result: { observe(value: number): void }) => void;
export interface OtelGauge {
  addCallback(callback: OtelGaugeCallback): void;
  removeCallback(callback: OtelGaugeCallback): void;
}
export interface OtelMeter {
  createCounter(name: string, options: { unit?: string; description?: string }): OtelCounter;
  createHistogram(name: string, options: { unit?: string; description?: string }): OtelHistogram;
  createObservableGauge(name: string, options: { unit?: string; description?: string }): OtelGauge;
}
export interface OtelApi {
  readonly ROOT_CONTEXT: OtelContext;
  readonly context: { active(): OtelContext; with<T>(context: OtelContext, work: () => T): T };
  readonly trace: {
    setSpan(context: OtelContext, span: OtelSpan): OtelContext;
    setSpanContext(context: OtelContext, spanContext: OtelSpanContext): OtelContext;
    getSpanContext(context: OtelContext): OtelSpanContext | undefined;
  };
  isSpanContextValid(spanContext: OtelSpanContext): boolean;
}
