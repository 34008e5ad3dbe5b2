import type { FactOutcome } from '../contracts/fact-port.interface.js';
import type { TaskState } from '../domain/task-state.js';
import { EventLogError, EventLogFullError } from '../errors/storage.errors.js';
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
   * first. Refused for want of space, it waits with its slot and decides again by what then is durable; the handler is not called
   * again. Never rejects.
   */
  async conclude(run: TaskRun, settlement: Settlement): Promise<Concluded | undefined> {
    while (!run.isOver) {
      const undrained = run.undrained();
      if (undrained !== undefined) {
        await undrained;
        continue;
      }
      const decision = this.decision(run, settlement);
      const { slot } = run.start;
      failpoint('completion.before-append');
      try {
        const append = this.shared.facts.append([decision.draft]);
        slot.lend();
        return this.answered(run, decision, await append);
      } catch (error) {
        slot.takeBack();
        await this.refused(run, error);
      }
    }
    return undefined;
  }

  /** In the same turn as the append that follows, so that nothing can come between. */
  private decision(run: TaskRun, settlement: Settlement): Decision {
    const { env, facts } = this.shared;
    const { task, handler } = run.start;
    const { initialDelayMs, maxDelayMs, backoffMultiplier: multiplier, jitter } = handler.retry;
    return decide({
      task,
      settlement,
      verdict: run.verdict,
      verdictError: run.verdictError,
      pending: facts.pending(task.id),
      now: env.clock.now(),
      backoffMs: () => backoffMs({ initialDelayMs, maxDelayMs, multiplier, jitter }, task.attempt, () => env.ids.random()),
    });
  }

  private answered(run: TaskRun, { outcome }: Decision, answer: FactOutcome): Concluded | undefined {
    failpoint('completion.after-durable');
    if (answer.kind === 'ok') return { outcome, task: answer.task };
    this.shared.counters.lateWrites += 1;
    run.finish();
    return undefined;
  }

  private async refused(run: TaskRun, error: unknown): Promise<void> {
    try {
      if (!EventLogFullError.is(error)) throw error;
      await this.shared.facts.whenAccepting('lifecycle');
    } catch (final) {
      // The task stays `running` in the log; the next start finds it there and recovers it.
      if (!EventLogError.is(final))
        this.shared.env.logger.error(`The end of task ${run.task.id} could not be written; it runs again after a restart.`, final);
      run.finish();
    }
  }
}
