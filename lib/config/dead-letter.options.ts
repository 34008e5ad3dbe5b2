import { IsCount, IsDurationMs } from './bounded.decorators.js';

/** `guard.dlq`: failed tasks that can be retried by hand. */
export class DeadLetterOptions {
  /** Only the newest so many failed tasks count as dead letters. Default 1000. */
  @IsCount(0) readonly maxSize: number = 1000;
  /** A failed task counts as a dead letter for this long; at most `retention.failedTtlMs`. Unit: ms. Default 1 d. */
  @IsDurationMs(1) readonly ttlMs: number = 86_400_000;
  /** Retries by hand of one task. Default 3. */
  @IsCount(0) readonly maxRetries: number = 3;
}
