import type { TaskContext, TaskDefinition } from '../../../lib/contracts/task-handler.interface.js';

interface Run {
  readonly ctx: TaskContext;
  resolve(value: unknown): void;
  reject(error: unknown): void;
}

/** A handler whose runs do what the test says, when it says so. Runs whose signal fires end with its reason. */
export class HandDrivenWork {
  /** Runs under way, by task. */
  readonly runs = new Map<string, Run>();
  /** Every call of the handler: task and fence. */
  readonly calls: { readonly taskId: string; readonly fence: number }[] = [];
  /** Runs return their input at once. */
  isAutomatic = false;

  readonly definition: TaskDefinition = {
    handler: (input, ctx) => this.begin(input, ctx),
    retry: { maxAttempts: 2, initialDelayMs: 1_000, jitter: false },
    timeoutMs: 3_600_000,
  };

  constructor(more: Partial<TaskDefinition> = {}) {
    Object.assign(this.definition, more);
  }

  run(taskId: string): Run {
    const run = this.runs.get(taskId);
    if (run === undefined) throw new Error(`Task ${taskId} does not run.`);
    return run;
  }

  /** The process died: its runs are gone. */
  forget(): void {
    this.runs.clear();
  }

  private begin(input: unknown, ctx: TaskContext): Promise<unknown> {
    this.calls.push({ taskId: ctx.taskId, fence: ctx.fence });
    if (this.isAutomatic) return Promise.resolve(input);
    return new Promise((resolve, reject) => {
      const over = (settle: (value: unknown) => void) => (value: unknown) => {
        if (this.runs.get(ctx.taskId)?.ctx === ctx) this.runs.delete(ctx.taskId);
        settle(value);
      };
      this.runs.set(ctx.taskId, { ctx, resolve: over(resolve), reject: over(reject) });
      ctx.signal.addEventListener('abort', () => over(reject)(ctx.signal.reason));
    });
  }
}
