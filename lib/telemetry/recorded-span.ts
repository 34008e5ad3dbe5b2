import type { SpanHandle } from '../contracts/telemetry.interface.js';
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
  /** The kind of error only: a message may hold what a user wrote. */
  error(error: unknown): void {
    this.attempt(() => void this.span.setStatus({ code: STATUS_ERROR, message: error instanceof Error ? error.name : typeof error }));
  }
  end(): void {
    this.attempt(() => this.span.end());
  }
}
