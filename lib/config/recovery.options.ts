import { IsCount, IsDurationMs, IsTimerMs } from './bounded.decorators.js';

/** `recovery`: tasks whose process died. */
export class RecoveryOptions {
  /** Without a heartbeat for this long a run counts as dead; at least 3 × `executor.heartbeatIntervalMs`. Unit: ms. Default 30 s. */
  @IsDurationMs(1) readonly staleThresholdMs: number = 30_000;
  /** Pause between scans for stale tasks. Unit: ms. Default 10 s. */
  @IsTimerMs(1) readonly scanIntervalMs: number = 10_000;
  /** Recovered tasks that run at once. Default 5. */
  @IsCount(1) readonly maxConcurrentRecoveries: number = 5;
  /** Crashes in a row after which a task fails; 0: it fails at the first one instead of running again. Default 5. */
  @IsCount(0) readonly maxRecoveriesPerTask: number = 5;
}
