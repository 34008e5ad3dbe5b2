import type { TaskState } from '../domain/task-state.js';
import { isFactRefused, isRefusedForNow } from '../errors/fact-refused.js';
import { backoffMs } from '../primitives/backoff.js';
import { decide, type Decision, type RunOutcome, type Settlement } from './outcome-decision.js';
import type { RunSurroundings, TaskRun } from './task-run.js';
import { failpoint } from '../primitives/failpoint.js';

export interface Concluded {
  readonly outcome: RunOutcome;
  /** The newest durable state. */
  readonly task: TaskState;
}

/** Makes the entry that ends a run. */
export class RunConclusion {
  constructor(private readonly shared: RunSurroundings) {}

  /**
   * Resolves once the entry is durable; undefined: nothing was written, and nothing will be. Everything the run emitted is made
   * first. An entry that is refused for a moment waits with its slot; one that came too late, because somebody else wrote to the
   * running task, is decided again on what is durable now; by one that is refused for what it is, the attempt has failed. The handler
   * is not called again for any. Never rejects.
   */
  async conclude(run: TaskRun, settlement: Settlement): Promise<Concluded | undefined> {
    let newest: TaskState | undefined;
    for (let settled: Settlement | undefined = settlement; settled !== undefined && !run.isOver;) {
      const undrained = run.undrained();
      if (undrained !== undefined) {
        await undrained;
        continue;
      }
      const decision = this.decision(run, settled, newest);
      const { slot } = run.start;
      failpoint('completion.before-append');
      try {
        const append = this.shared.facts.append([decision.draft]);
        slot.lend();
        const answer = await append;
        failpoint('completion.after-durable');
        if (answer.kind === 'applied') return { outcome: decision.outcome, task: answer.task };
        slot.takeBack();
        if (!isNewsOf(run, answer.task, newest)) return this.fenced(run);
        newest = answer.task;
      } catch (error) {
        slot.takeBack();
        settled = await this.refused(run, settled, error);
      }
    }
    return undefined;
  }

  /** In the same turn as the append that follows, so that nothing can come between. */
  private decision(run: TaskRun, settlement: Settlement, newest: TaskState | undefined): Decision {
    const { env, facts } = this.shared;
    const { task, handler } = run.start;
    const { initialDelayMs, maxDelayMs, backoffMultiplier: multiplier, jitter } = handler.retry;
    return decide({
      task,
      settlement,
      verdict: run.verdict,
      verdictError: run.verdictError,
      cancelRequest: run.cancelRequest ?? facts.cancelRequestOf(task.id) ?? newest?.cancelRequest ?? null,
      now: env.clock.now(),
      backoffMs: () => backoffMs({ initialDelayMs, maxDelayMs, multiplier, jitter }, task.attempt, () => env.ids.random()),
    });
  }

  private fenced(run: TaskRun): undefined {
    this.shared.counters.lateWrites += 1;
    run.finish();
    return undefined;
  }

  /** What the run is concluded with then; undefined: with nothing. */
  private async refused(run: TaskRun, settled: Settlement, error: unknown): Promise<Settlement | undefined> {
    try {
      // Nobody would own the task if its end, which is never taken, were merely dropped. An error always fits.
      if (!isFactRefused(error) && settled.kind === 'returned') return { kind: 'threw', error: run.errorInfo(error) };
      if (!isRefusedForNow(error)) throw error;
      await this.shared.facts.whenAccepting('lifecycle');
      return settled;
    } catch (final) {
      // The task stays `running`, so whoever recovers the runs of this process finds it there.
      if (!isFactRefused(final))
        this.shared.env.logger.error(`The end of task ${run.task.id} could not be written; it runs again after a restart.`, final);
      run.finish();
      return undefined;
    }
  }
}

/** The run still holds its task, and the task is not as it was when the last entry was decided: so another decision is worth making. */
function isNewsOf(run: TaskRun, newest: TaskState | null, before: TaskState | undefined): newest is TaskState {
  if (newest === null || newest.status !== 'running' || newest.fence !== run.task.fence) return false;
  return before === undefined || newest.lastSeq !== before.lastSeq || newest.cancelRequest !== before.cancelRequest;
}
