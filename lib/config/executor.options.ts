import { IsBoolean } from 'class-validator';
import { IsDurationMs, IsTimerMs } from './bounded.decorators.js';
import { RetryPolicyOptions } from './retry.options.js';

/** `executor`: running tasks. */
export class ExecutorOptions {
  /** Off: this process submits and streams, and runs nothing until `ExecutorService.start()` is called. Default true. */
  @IsBoolean() readonly enabled: boolean = true;
  /** Pause between heartbeats of a run. Unit: ms. Default 5 s. */
  @IsTimerMs(1) readonly heartbeatIntervalMs: number = 5000;
  /** Timeout of one attempt where the handler names none. Unit: ms. Default 5 min. */
  @IsDurationMs(1) readonly defaultTimeoutMs: number = 300_000;
  /** Resolution of delays and `runAt`; a free slot is filled at once. Unit: ms. Default 100. */
  @IsTimerMs(1) readonly tickIntervalMs: number = 100;
  readonly retry: RetryPolicyOptions = new RetryPolicyOptions();
}
