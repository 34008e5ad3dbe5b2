import type { LiveRun, RunLiveness } from '../contracts/run-liveness.interface.js';
import { InterruptibleLoop } from '../primitives/interruptible-loop.js';
import type { ExecutionEnvironment } from './execution-environment.js';
import type { TaskRun } from './task-run.js';

/** One timer for all runs: says that they are alive, and tells when the event loop had no turn for it. */
export class Heartbeat {
  private readonly loop: InterruptibleLoop;
  private lastTurnAt = 0;

  constructor(
    private readonly env: ExecutionEnvironment,
    private readonly liveness: RunLiveness,
    private readonly runs: () => Iterable<TaskRun>,
  ) {
    const { clock, options, logger } = env;
    this.loop = new InterruptibleLoop(clock, {
      intervalMs: options.executor.heartbeatIntervalMs,
      turn: () => {
        this.tellStandstill();
        this.liveness.beat(this.liveRuns());
      },
      onError: (error) => logger.error('Heartbeats could not be written.', error),
    });
  }

  start(): void {
    this.lastTurnAt = this.env.clock.monotonic();
    this.loop.start();
  }

  stop(): Promise<void> {
    return this.loop.stop();
  }

  private *liveRuns(): Generator<LiveRun> {
    for (const { task, isOver } of this.runs()) if (!isOver) yield { taskId: task.id, fence: task.fence };
  }

  /** Whoever looked meanwhile saw tasks without a sign of life; nobody but this process can say why. */
  private tellStandstill(): void {
    const { clock, options, logger } = this.env;
    const now = clock.monotonic();
    const standstillMs = Math.round(now - this.lastTurnAt - options.executor.heartbeatIntervalMs);
    this.lastTurnAt = now;
    if (standstillMs < options.recovery.staleThresholdMs) return;
    logger.warn(
      `This process stood still for ${standstillMs} ms, without a heartbeat for its tasks: a handler that computes without a pause, or a ` +
        `machine that was suspended. The tasks go on; long computation belongs into a worker thread.`,
    );
  }
}
