/** What happened since the process started. Read by statistics and tests; changed by this floor only. */
export class ExecutionCounters {
  completed = 0;
  failed = 0;
  /** Runs that ended cancelled; queued tasks are cancelled without a run. */
  cancelled = 0;
  /** Attempts that failed and will be followed by another. */
  retried = 0;
  /** Runs that were put off, at no attempt's cost. */
  postponed = 0;
  /** Released at shutdown, to run at the next start. */
  released = 0;
  /** Runs that ignored their signal for `shutdown.forceKillTimeoutMs`. */
  abandoned = 0;
  /** Writes and results that came after their run was over, or were refused because the task had moved on. */
  lateWrites = 0;
  /** `ctx.progress` and `ctx.emit` calls over the limit of one run. */
  runLimitRejections = 0;
}
