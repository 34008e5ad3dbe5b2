import { MAX_WAITING } from '../domain/bounds.js';
import { IsCount, IsDurationMs, IsIntegerWithin } from './bounded.decorators.js';

/** `guard.backpressure`: how much work is taken in. */
export class BackpressureOptions {
  /** Tasks admitted in any window, all users together. Default 1000. */
  @IsCount(1) readonly maxTasksPerWindow: number = 1000;
  /** Tasks admitted in any window for one user. Default 100. */
  @IsCount(1) readonly maxTasksPerUserWindow: number = 100;
  /** Width of the sliding window. Unit: ms. Default 60 s. */
  @IsDurationMs(1) readonly windowSizeMs: number = 60_000;
  /** Tasks that wait for a slot, above which submits that would wait are refused; of one user a tenth, or his window. Default 500. */
  @IsIntegerWithin(0, MAX_WAITING) readonly maxQueuedSize: number = 500;
  /** Tasks that wait for their time (`runAt`, `delayMs`, a backoff), above which delayed submits are refused; of one user likewise. Default 100,000. */
  @IsIntegerWithin(0, MAX_WAITING) readonly maxDelayedSize: number = 100_000;
}
