import { Inject, Injectable } from '@nestjs/common';
import { CLOCK, FACT_PORT, TELEMETRY, WORK_FEED } from '../config/taskflow.tokens.js';
import type { Clock } from '../contracts/clock.interface.js';
import type { FactPort } from '../contracts/fact-port.interface.js';
import type { Telemetry } from '../contracts/telemetry.interface.js';
import type { WorkFeed } from '../contracts/work-feed.interface.js';
import type { TaskState } from '../domain/task-state.js';
import { ConflictError, NotFoundError } from '../errors/request.errors.js';

/** A new life for a task that ended without success: by hand, whoever asks for it and why. */
@Injectable()
export class ManualRetry {
  /** Since the process started. */
  retried = 0;

  constructor(
    @Inject(CLOCK) private readonly clock: Clock,
    @Inject(FACT_PORT) private readonly facts: FactPort,
    @Inject(TELEMETRY) private readonly telemetry: Telemetry,
    @Inject(WORK_FEED) private readonly work: WorkFeed,
  ) {}

  /**
   * Retries a failed or cancelled task, whether it is a dead letter or not.
   * @throws ConflictError when it has not ended, completed, gave its key to a newer task, or belongs to another log; NotFoundError.
   */
  async retry(found: TaskState): Promise<TaskState> {
    for (let state: TaskState | null = found; state !== null;) {
      this.requireRetryable(state);
      const outcome = await this.reopen(state, state.deadLetteredAt !== null);
      if (outcome.kind === 'applied') return { ...outcome.task, input: found.input };
      state = outcome.task; // somebody was faster: look again at what they made of it
    }
    throw new NotFoundError();
  }

  /** @param isDead what is known of it; a retry that assumes otherwise is fenced. */
  async reopen(state: TaskState, isDead: boolean): ReturnType<FactPort['append']> {
    // `dead` is said where it is not what is usual: who counts dead letters cannot see it in the task as it is afterwards.
    const data = { reason: 'manual', runAt: this.clock.now(), delayMs: 0, ...(isDead ? {} : { dead: false }) };
    const expect = { status: [state.status], fence: state.fence, life: state.life, deadLettered: isDead };
    const outcome = await this.facts.append([{ type: 'retry', taskId: state.id, data, expect }]);
    if (outcome.kind !== 'applied') return outcome;
    this.retried += 1;
    this.telemetry.count('taskflow.tasks.retried', 1, { 'taskflow.task.name': state.name });
    this.work.offer(outcome.task);
    return outcome;
  }

  requireHome(state: TaskState): void {
    if (!this.facts.canWrite(state))
      throw new ConflictError('HOME_ELSEWHERE', 'The task belongs to the log of another process; retry it there.');
  }

  /** Keys are there so that nothing runs twice at once: a task whose key went to a newer one stays as it ended. */
  requireKey(state: TaskState): void {
    if (state.supersededBy === null) return;
    throw new ConflictError(
      'KEY_REUSED',
      `The key of this task was given to the newer task ${state.supersededBy}; retry or submit that one.`,
    );
  }

  private requireRetryable(state: TaskState): void {
    this.requireHome(state);
    if (state.status !== 'failed' && state.status !== 'cancelled')
      throw new ConflictError('NOT_RETRYABLE', `The task is ${state.status}; only failed and cancelled ones can be retried.`);
    this.requireKey(state);
  }
}
