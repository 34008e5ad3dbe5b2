import { AsyncLocalStorage } from 'node:async_hooks';
import type { TaskRun } from './task-run.js';

/** Knows which run a call comes from, by its asynchronous context: a running task may submit while others are refused. */
export class RunScope {
  private readonly storage = new AsyncLocalStorage<TaskRun>();

  /** Calls the work as part of the run. */
  within<T>(run: TaskRun, work: () => T): T {
    return this.storage.run(run, work);
  }

  /** True in what a handler calls, and what that awaits, until its run ends. */
  get isInside(): boolean {
    const run = this.storage.getStore();
    return run !== undefined && !run.isSettled && !run.isOver;
  }
}
