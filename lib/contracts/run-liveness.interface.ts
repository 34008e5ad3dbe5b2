import type { TaskId } from './ids.js';

/** A run that is under way in this process. */
export interface LiveRun {
  readonly taskId: TaskId;
  readonly fence: number;
}

/** Who says that runs are alive. */
export interface RunLiveness {
  /**
   * Called each `executor.heartbeatIntervalMs` by the event loop that runs the handlers: that it is called at all shows that the loop
   * turns. Nobody waits for what comes of it. @param runs all that are under way.
   */
  beat(runs: Iterable<LiveRun>): void;
  /** Heartbeats that did not become durable, since the process started. */
  readonly dropped: number;
}
