import type { Watermark } from '../../../contracts/event-log.interface.js';
import type { FlushCursor } from '../../../contracts/task-store.interface.js';

export type BreakerState = 'closed' | 'open' | 'half-open';

/** What every flush loop is told, wherever it runs. Plain data: it crosses a process. */
export interface FlushLoopOptions {
  readonly logId: string;
  /** Generation of the log as opened by the process that writes it: the right to move the cursor. */
  readonly ownerGen: number;
  /** Entries that the database is known to have; with fewer it is another database than it was. */
  readonly appliedAtLeast: number;
  /** For messages to the operator. */
  readonly eventLogPath: string;
  readonly flushIntervalMs: number;
  /** Entries. A batch ends with the frame that reaches it. */
  readonly maxBatchSize: number;
  /** Failures in a row that open the breaker. */
  readonly circuitBreakerThreshold: number;
  /** Longest wait between two attempts. */
  readonly circuitBreakerDurationMs: number;
}

/** Calls come in order, never during a call of the flusher, and must not throw. */
export interface FlushListener {
  /** The database holds everything up to this cursor. `quarantined`: entries set aside since the last report. */
  applied(cursor: FlushCursor, quarantined: number): void;
  /** `reason`: of the last failure, without secrets and payloads; undefined when all is well. */
  breaker(state: BreakerState, reason: string | undefined): void;
  /** Flushing ended for good: another writer, another history, or damage. */
  halted(error: Error): void;
}

/** A flush loop somewhere: in a child process, or in this one. */
export interface Flusher {
  /** Of the worker process; null while there is none. */
  readonly pid: number | null;
  /** Times the worker process was replaced. */
  readonly restarts: number;
  /** True while worker processes end before they got anything done. */
  readonly isFailing: boolean;
  start(watermark: Watermark, listener: FlushListener): void;
  /** There is more to flush. Cheap: called after every frame of the log. */
  advance(watermark: Watermark): void;
  /** Flush what is durable at once, also when the breaker waits. */
  flushNow(watermark: Watermark): void;
  /** Ends after the batch in flight, or by force after `timeoutMs`. Twice is once. */
  stop(timeoutMs: number): Promise<void>;
}
