import { TaskflowOptions } from './taskflow.options.js';

const DEFAULTS = new TaskflowOptions();

/** What a stop may take beside its runs: the flush of the rest, the end of the flush, the seal of the log. Unit: ms. */
const CLOSING_MS = 10_000;

/** Options that may be meant, but together will surprise somebody: each is a warning at the start. */
export function doubts({ eventLog, shutdown, executor, guard }: TaskflowOptions): string[] {
  const found: string[] = [];
  const stopMs = shutdown.timeoutMs + 2 * shutdown.forceKillTimeoutMs + CLOSING_MS;
  // 0 is meant: the second process fails at once.
  if (eventLog.lockTimeoutMs > 0 && eventLog.lockTimeoutMs < stopMs)
    found.push(
      `eventLog.lockTimeoutMs (${eventLog.lockTimeoutMs}) is shorter than an orderly stop may take (${stopMs} ms by shutdown.timeoutMs and ` +
        'shutdown.forceKillTimeoutMs): a successor that starts meanwhile fails. Raise the first or lower the others.',
    );
  const { initialDelayMs, maxDelayMs } = executor.retry;
  if (initialDelayMs > maxDelayMs)
    found.push(
      `executor.retry.initialDelayMs (${initialDelayMs}) is above executor.retry.maxDelayMs (${maxDelayMs}), which cuts it: no retry waits longer.`,
    );
  const { slots, backpressure } = guard;
  const limits = [
    ['guard.slots', 'maxExecutionPerUser', 'maxExecutionGlobal', slots, DEFAULTS.guard.slots],
    ['guard.backpressure', 'maxTasksPerUserWindow', 'maxTasksPerWindow', backpressure, DEFAULTS.guard.backpressure],
  ] as const;
  for (const [path, ofUser, ofAll, branch, defaults] of limits) {
    const [user, all, byDefault] = [valueOf(branch, ofUser), valueOf(branch, ofAll), valueOf(defaults, ofUser)];
    // Who lowers the limit of all alone need not lower that of each user.
    if (user > all && user !== byDefault)
      found.push(`${path}.${ofUser} (${user}) is above ${path}.${ofAll} (${all}), so that it limits nobody: one user can take all of it.`);
  }
  return found;
}

const valueOf = (branch: object, name: string): number => Reflect.get(branch, name) as number;
