/** What keeps a running system from being whole. */
export type DegradationName =
  | 'log-full'
  | 'log-failed'
  | 'log-closed'
  | 'flush-halted'
  | 'flush-worker-dies'
  | 'database-refuses'
  | 'database-silent'
  | 'database-not-read'
  | 'database-away'
  | 'lease-lost';

/** One reason why `getStats().status` is `degraded`. Its texts name no path, host or value, so that a health endpoint may show them. */
export interface Degradation {
  /** Stable, for alerts. */
  readonly name: DegradationName;
  /** What is wrong. */
  readonly message: string;
  /** What to do about it. */
  readonly remedy: string;
  /** New tasks are refused meanwhile. */
  readonly refusesTasks: boolean;
  /** The process cannot mend it; one that is started in its place may. */
  readonly needsRestart: boolean;
}
