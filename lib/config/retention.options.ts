import { IsDurationMs, IsTimerMs } from './bounded.decorators.js';

/** `retention`: how long ended tasks stay in the database. */
export class RetentionOptions {
  /** Completed and cancelled tasks. Unit: ms. Default 7 d. */
  @IsDurationMs(0) readonly completedTtlMs: number = 604_800_000;
  /** Failed tasks; at least `guard.dlq.ttlMs`. Unit: ms. Default 30 d. */
  @IsDurationMs(0) readonly failedTtlMs: number = 2_592_000_000;
  /** Pause between sweeps. Unit: ms. Default 60 s. */
  @IsTimerMs(1) readonly sweepIntervalMs: number = 60_000;
}
