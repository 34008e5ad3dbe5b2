import type { FactRefused, Refusal } from './fact-refused.js';
import { TaskSystemError } from './task-system.error.js';

export type EventLogFailure = 'full' | 'failed' | 'closed';

/**
 * 503. The log did not take an entry. `outcome` `none`: it is not on disk and never will be;
 * `unknown`: the disk failed while it was being synced, so that it may or may not be found at the next start.
 */
export class EventLogError extends TaskSystemError implements FactRefused {
  static override readonly kind: string = 'EventLogError';
  /** `later`: the log is full, and takes entries again when there is room. */
  readonly refusal: Refusal;
  constructor(
    readonly state: EventLogFailure,
    readonly outcome: 'none' | 'unknown',
    message: string,
    options?: { cause?: unknown; code?: string },
  ) {
    super(options?.code ?? 'EVENT_LOG', 503, message, {}, options);
    this.refusal = state === 'full' ? 'later' : 'never';
  }
}

/** 503. No room: the disk is full, or `minFreeBytes` or `maxUnflushedBytes` is reached. Nothing was written. */
export class EventLogFullError extends EventLogError {
  static override readonly kind: string = 'EventLogFullError';
  constructor(
    message: string,
    readonly retryAfterMs: number = 1000,
    options?: { cause?: unknown },
  ) {
    super('full', 'none', message, { ...options, code: 'EVENT_LOG_FULL' });
  }
}

/** 503. Another process holds this log. `holder` says who, as far as it told. */
export class EventLogLockedError extends TaskSystemError {
  static override readonly kind: string = 'EventLogLockedError';
  constructor(
    readonly directory: string,
    readonly holder: string,
    waitedMs: number,
  ) {
    super(
      'EVENT_LOG_LOCKED',
      503,
      `The event log in ${directory} is held by ${holder}; waited ${waitedMs} ms. Stop that process, or give this one an eventLogPath of its own.`,
    );
  }
}

/** 503. The log on disk is damaged, or is not the log that the database belongs to. Nothing was changed. */
export class EventLogCorruptError extends TaskSystemError {
  static override readonly kind: string = 'EventLogCorruptError';
  constructor(
    readonly file: string,
    readonly offset: number,
    reason: string,
  ) {
    super('EVENT_LOG_CORRUPT', 503, `${file}, byte ${offset}: ${reason}`);
  }
}

export type RepositoryErrorCode =
  'UNAVAILABLE' | 'NOT_SUPPORTED' | 'NOT_A_DATABASE' | 'HISTORY_MISMATCH' | 'UNADOPTED_HOME' | 'SCHEMA_TOO_NEW' | 'DRIVER_MISSING';

/** 503. The database did not answer, or cannot do what was asked. `code` says which. */
export class RepositoryError extends TaskSystemError implements FactRefused {
  static override readonly kind: string = 'RepositoryError';
  /** `later`: the database did not answer this time. */
  readonly refusal: Refusal;
  /** Of a fact that the database was to take: whether it may have taken it all the same. */
  readonly outcome: 'none' | 'unknown';
  constructor(
    code: RepositoryErrorCode,
    message: string,
    readonly retryAfterMs: number = 1000,
    options?: { cause?: unknown; outcome?: 'none' | 'unknown' },
  ) {
    super(code, 503, message, {}, options);
    this.refusal = code === 'UNAVAILABLE' ? 'later' : 'never';
    this.outcome = options?.outcome ?? 'none';
  }
}
