import { InterruptibleLoop } from '../primitives/interruptible-loop.js';
import type { RunSurroundings, TaskRun } from './task-run.js';

/** One timer for all runs. Their heartbeats share a frame; nobody waits for it, and one that is refused is dropped. */
export class Heartbeat {
  private readonly loop: InterruptibleLoop;
  private lastTurnAt = 0;

  constructor(
    private readonly shared: RunSurroundings,
    private readonly runs: () => Iterable<TaskRun>,
  ) {
    const { clock, options, logger } = shared.env;
    this.loop = new InterruptibleLoop(clock, {
      intervalMs: options.executor.heartbeatIntervalMs,
      turn: () => this.beatAll(),
      onError: (error) => logger.error('Heartbeats could not be written.', error),
    });
  }

  start(): void {
    this.lastTurnAt = this.shared.env.clock.monotonic();
    this.loop.start();
  }

  stop(): Promise<void> {
    return this.loop.stop();
  }

  private beatAll(): void {
    this.tellStandstill();
    // A log that does not answer must not gather one more heartbeat per run and interval.
    for (const run of this.runs()) if (!run.isBeating && !run.isOver) this.beat(run);
  }

  /** Whoever looked meanwhile saw tasks without a sign of life; nobody but this process can say why. */
  private tellStandstill(): void {
    const { clock, options, logger } = this.shared.env;
    const now = clock.monotonic();
    const standstillMs = Math.round(now - this.lastTurnAt - options.executor.heartbeatIntervalMs);
    this.lastTurnAt = now;
    if (standstillMs < options.recovery.staleThresholdMs) return;
    logger.warn(
      `This process stood still for ${standstillMs} ms, without a heartbeat for its tasks: a handler that computes without a pause, or a ` +
        `machine that was suspended. The tasks go on; long computation belongs into a worker thread.`,
    );
  }

  private beat(run: TaskRun): void {
    const { id, fence } = run.task;
    run.isBeating = true;
    this.shared.facts.append([{ type: 'heartbeat', taskId: id, expect: { fence, status: ['running'] } }]).then(
      (outcome) => this.beaten(run, outcome.kind === 'applied'),
      () => this.beaten(run, false),
    );
  }

  private beaten(run: TaskRun, isDurable: boolean): void {
    run.isBeating = false;
    if (!isDurable) this.shared.counters.droppedHeartbeats += 1;
  }
}
