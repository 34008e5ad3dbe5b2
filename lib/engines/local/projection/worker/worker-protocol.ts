import type { RepositoryOptions } from '../../../../config/repository.options.js';
import type { Watermark } from '../../../../contracts/event-log.interface.js';
import type { FlushCursor } from '../../../../contracts/task-store.interface.js';
import { EventLogCorruptError, RepositoryError } from '../../../../errors/storage.errors.js';
import type { FlushNotice } from '../flush-notice.js';
import type { BreakerState, FlushLoopOptions } from '../flusher.interface.js';

/** How often a worker says that it lives. */
export const ALIVE_INTERVAL_MS = 5_000;
const MAX_NOTICES = 20;

/** What a worker is told first: by message, since environment and arguments of a process can be read by others. */
export interface WorkerConfig {
  readonly loop: FlushLoopOptions;
  /** Plain data only: see `projectorConfigOf`. */
  readonly repository: RepositoryOptions;
}

export type ParentMessage =
  | { readonly type: 'start'; readonly config: WorkerConfig; readonly watermark: Watermark }
  | { readonly type: 'watermark'; readonly watermark: Watermark }
  | { readonly type: 'flush'; readonly watermark: Watermark }
  | { readonly type: 'stop' };

/** What changed since the last report. */
export interface WorkerReport {
  readonly type: 'report';
  readonly cursor: FlushCursor | undefined;
  readonly quarantined: number;
  readonly breaker: BreakerState;
  readonly reason: string | undefined;
  /** About single tasks; at most `MAX_NOTICES`, for each may have one in a bad hour. */
  readonly notices: readonly FlushNotice[];
}

export type WorkerMessage = WorkerReport | { readonly type: 'alive' } | WorkerHalt;

/** Flushing ended for good. Errors lose their class between processes, so that it is told apart here. */
export interface WorkerHalt {
  readonly type: 'halted';
  /** Where the log is damaged; absent for every other reason. */
  readonly damage?: { readonly file: string; readonly offset: number };
  readonly reason: string;
}

export const mergeReports = (earlier: WorkerReport, later: WorkerReport): WorkerReport => ({
  ...later,
  cursor: later.cursor ?? earlier.cursor,
  quarantined: earlier.quarantined + later.quarantined,
  notices: [...earlier.notices, ...later.notices].slice(0, MAX_NOTICES),
});

export function describeHalt(error: Error): WorkerHalt {
  if (!EventLogCorruptError.is(error)) return { type: 'halted', reason: error.message };
  const { file, offset } = error;
  return { type: 'halted', damage: { file, offset }, reason: error.message.replace(`${file}, byte ${offset}: `, '') };
}

export function reviveHalt({ damage, reason }: WorkerHalt): Error {
  if (damage !== undefined) return new EventLogCorruptError(damage.file, damage.offset, reason);
  return new RepositoryError('HISTORY_MISMATCH', reason);
}
