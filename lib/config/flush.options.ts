import { IsIn } from 'class-validator';
import { IsCount, IsTimerMs } from './bounded.decorators.js';

/** `flush`: from the log to the database. */
export class FlushOptions {
  /** Longest wait of an entry for its batch; a full batch goes at once. Unit: ms. Default 1000. */
  @IsTimerMs(1) readonly flushIntervalMs: number = 1000;
  /** Entries in one transaction at most. Default 1000. */
  @IsCount(1) readonly maxBatchSize: number = 1000;
  /** Failed batches in a row that open the breaker. Default 5. */
  @IsCount(1) readonly circuitBreakerThreshold: number = 5;
  /** Longest pause of an open breaker before it probes the database. Unit: ms. Default 30 s. */
  @IsTimerMs(1) readonly circuitBreakerDurationMs: number = 30_000;
  /** 'process': a child process writes; 'inline': this one, also chosen by itself where objects cannot cross a process, or a bundle lacks the worker's file. Default 'process'. */
  @IsIn(['process', 'inline']) readonly worker: 'process' | 'inline' = 'process';
}
