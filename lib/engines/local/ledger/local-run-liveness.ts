import type { FactPort } from '../../../contracts/fact-port.interface.js';
import type { TaskId } from '../../../contracts/ids.js';
import type { LiveRun, RunLiveness } from '../../../contracts/run-liveness.interface.js';

/** A heartbeat entry for each run. Those of one call share a frame; nobody waits for it, and one that is refused is dropped. */
export class LocalRunLiveness implements RunLiveness {
  dropped = 0;
  /** Heartbeats on their way: a log that does not answer must not gather one more per run and interval. */
  private readonly beating = new Set<TaskId>();

  constructor(private readonly facts: FactPort) {}

  beat(runs: Iterable<LiveRun>): void {
    for (const run of runs) if (!this.beating.has(run.taskId)) this.write(run);
  }

  private write({ taskId, fence }: LiveRun): void {
    this.beating.add(taskId);
    this.facts.append([{ type: 'heartbeat', taskId, expect: { fence, status: ['running'] } }]).then(
      (outcome) => this.written(taskId, outcome.kind === 'applied'),
      () => this.written(taskId, false),
    );
  }

  private written(taskId: TaskId, isDurable: boolean): void {
    this.beating.delete(taskId);
    if (!isDurable) this.dropped += 1;
  }
}
