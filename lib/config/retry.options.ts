import { IsBoolean, IsNumber, Min } from 'class-validator';
import { MAX_ATTEMPTS } from '../domain/bounds.js';
import { IsDurationMs, IsIntegerWithin } from './bounded.decorators.js';

/** `executor.retry`, and `retry` of a handler over it: what happens after a failed attempt. */
export class RetryPolicyOptions {
  /** Attempts of one life, the first included. Default 3. */
  @IsIntegerWithin(1, MAX_ATTEMPTS) readonly maxAttempts: number = 3;
  /** Delay before the second attempt. Unit: ms. Default 1 s. */
  @IsDurationMs(0) readonly initialDelayMs: number = 1000;
  /** No delay is longer. Unit: ms. Default 30 s. */
  @IsDurationMs(0) readonly maxDelayMs: number = 30_000;
  /** Each delay is the one before times this. Default 2. */
  @IsNumber({ allowNaN: false, allowInfinity: false }) @Min(1) readonly backoffMultiplier: number = 2;
  /** Full jitter: the delay is drawn from 0 to what was computed. Default true. */
  @IsBoolean() readonly jitter: boolean = true;
}
