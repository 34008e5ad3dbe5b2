import { IsTimerMs } from './bounded.decorators.js';

/** `shutdown`: how long a clean stop may take. */
export class ShutdownOptions {
  /** Running tasks may finish for this long, then their `signal` aborts. Unit: ms. Default 20 s. */
  @IsTimerMs(0) readonly timeoutMs: number = 20_000;
  /** A handler that ignores its aborted `signal` for this long is abandoned, at shutdown, timeout and cancel alike. Unit: ms. Default 5 s. */
  @IsTimerMs(0) readonly forceKillTimeoutMs: number = 5_000;
}
