import type { ProjectionReport } from '../../../repository/repository.ports.js';

/** What a projector had to say about a task, as data, since it crosses a process. */
export type FlushNotice =
  | { readonly kind: 'key-conflict'; readonly taskId: string; readonly holder: string }
  | { readonly kind: 'quarantined'; readonly taskId: string; readonly entries: number; readonly reason: string }
  | { readonly kind: 'bridged'; readonly taskId: string; readonly entries: number };

export const noticesTo = (listener: (notice: FlushNotice) => void): ProjectionReport => ({
  keyConflict: (taskId, holder) => listener({ kind: 'key-conflict', taskId, holder }),
  quarantined: (taskId, entries, reason) => listener({ kind: 'quarantined', taskId, entries, reason }),
  bridged: (taskId, entries) => listener({ kind: 'bridged', taskId, entries }),
});

/** A worker that ended and should not have. */
export interface LostWorker {
  /** Exit code or signal. */
  readonly how: string;
  /** What it said last on stderr. */
  readonly lastWords: string;
  /** Workers in a row that ended before they got anything done. */
  readonly inARow: number;
  /** The next one follows then. */
  readonly inMs: number;
}
