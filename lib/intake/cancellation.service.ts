import { Inject, Injectable } from '@nestjs/common';
import { FACT_PORT, TELEMETRY } from '../config/taskflow.tokens.js';
import type { FactOutcome, FactPort } from '../contracts/fact-port.interface.js';
import type { Telemetry } from '../contracts/telemetry.interface.js';
import { requireText } from '../domain/text-rules.js';
import type { TaskState } from '../domain/task-state.js';
import { ConflictError, NotFoundError } from '../errors/request.errors.js';

const MAX_REASON_CHARS = 1_000;

/** Cancel as a fact: of a waiting task the end itself, of a running one the request, which outlives a crash. */
@Injectable()
export class CancellationService {
  /** Tasks cancelled before they ran, since the process started. */
  cancelledWaiting = 0;

  constructor(
    @Inject(FACT_PORT) private readonly facts: FactPort,
    @Inject(TELEMETRY) private readonly telemetry: Telemetry,
  ) {}

  /**
   * @returns the task, `cancelled`, or still `running` with its request durable.
   * @throws ValidationError for a reason that is no text; ConflictError when it completed or failed before, or belongs to another home.
   */
  async cancel(found: TaskState, reason: string | undefined): Promise<TaskState> {
    const data = reason === undefined ? {} : { reason: requireText('reason', reason, MAX_REASON_CHARS) };
    for (let state: TaskState | null = found; state !== null;) {
      if (!this.facts.canWrite(state))
        throw new ConflictError('HOME_ELSEWHERE', 'The task belongs to the log of another process; cancel it there.');
      if (state.status === 'cancelled') return this.whole(state);
      if (state.status === 'completed' || state.status === 'failed')
        throw new ConflictError('TASK_ENDED', `The task has ${state.status} before.`);
      if (state.status === 'running' && state.cancelRequest !== null) return this.whole(state);
      const outcome: FactOutcome =
        state.status === 'created'
          ? await this.facts.append([{ type: 'cancelled', taskId: state.id, data, expect: { status: ['created'] } }])
          : await this.facts.append([{ type: 'cancel', taskId: state.id, data, expect: { status: ['running'], fence: state.fence } }]);
      if (outcome.kind === 'applied') {
        this.count(outcome.task);
        return this.whole({ ...outcome.task, input: found.input });
      }
      state = outcome.task; // somebody was faster: decide again on what they made of it
    }
    throw new NotFoundError();
  }

  private count(task: TaskState): void {
    if (task.status === 'running') return; // its run hears of the request from the engine
    this.cancelledWaiting++;
    this.telemetry.count('taskflow.tasks.cancelled', 1, { 'taskflow.task.name': task.name });
  }

  private async whole(state: TaskState): Promise<TaskState> {
    return state.input !== undefined ? state : ((await this.facts.load(state.id)) ?? state);
  }
}
