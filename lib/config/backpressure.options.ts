import { IsCount, IsDurationMs } from './bounded.decorators.js';

/** `guard.backpressure`: how much work is taken in. */
export class BackpressureOptions {
  /** Tasks admitted in any window, all users together. Default 1000. */
  @IsCount(1) readonly maxTasksPerWindow: number = 1000;
  /** Tasks admitted in any window for one user. Default 100. */
  @IsCount(1) readonly maxTasksPerUserWindow: number = 100;
  /** Width of the sliding window. Unit: ms. Default 60 s. */
  @IsDurationMs(1) readonly windowSizeMs: number = 60_000;
  /** Tasks waiting at most, whatever they wait for; a submit that starts at once is not counted. Default 500. */
  @IsCount(0) readonly maxQueuedSize: number = 500;
}
