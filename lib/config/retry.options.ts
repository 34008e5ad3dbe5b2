import { IsBoolean, IsInt, IsNumber, Min } from 'class-validator';

/** `executor.retry`, and `retry` of a handler over it: what happens after a failed attempt. */
export class RetryPolicyOptions {
  /** Attempts of one life, the first included. Default 3. */
  @IsInt() @Min(1) readonly maxAttempts: number = 3;
  /** Delay before the second attempt. Unit: ms. Default 1 s. */
  @IsInt() @Min(0) readonly initialDelayMs: number = 1000;
  /** No delay is longer. Unit: ms. Default 30 s. */
  @IsInt() @Min(0) readonly maxDelayMs: number = 30_000;
  /** Each delay is the one before times this. Default 2. */
  @IsNumber({ allowNaN: false, allowInfinity: false }) @Min(1) readonly backoffMultiplier: number = 2;
  /** Full jitter: the delay is drawn from 0 to what was computed. Default true. */
  @IsBoolean() readonly jitter: boolean = true;
}
