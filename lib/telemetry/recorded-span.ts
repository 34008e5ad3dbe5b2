import type { SpanHandle } from '../contracts/telemetry.interface.js';
import { errorMessageOf, errorNameOf, traceOf } from '../domain/error-parts.js';
import type { OtelSpan } from './open-telemetry.interface.js';

/** SpanStatusCode.ERROR of the API. */
const STATUS_ERROR = 2;

/** Where there is no tracer. */
export const NO_SPAN: SpanHandle = Object.freeze({ outcome() {}, error() {} });

export class RecordedSpan implements SpanHandle {
  constructor(
    private readonly span: OtelSpan,
    private readonly attempt: (act: () => void) => void,
  ) {}
  outcome(value: string): void {
    this.attempt(() => void this.span.setAttribute('taskflow.outcome', value));
  }
  /** The exception with what is behind it; the status says its kind only, as that is what lists of spans show. */
  error(error: unknown): void {
    const name = errorNameOf(error);
    this.attempt(() => void this.span.recordException?.({ name, message: errorMessageOf(error), stack: traceOf(error) }));
    this.attempt(() => void this.span.setStatus({ code: STATUS_ERROR, message: error instanceof Error ? name : typeof error }));
  }
  end(): void {
    this.attempt(() => this.span.end());
  }
}
