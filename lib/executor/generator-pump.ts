import type { TaskYield } from '../contracts/task-handler.interface.js';
import { NonRetryableError } from '../errors/execution.errors.js';
import { callerContext } from '../primitives/async-context.js';
import { yieldedEntry } from './run-entry.js';
import type { RunSurroundings, TaskRun } from './task-run.js';

/** How far a generator is pulled ahead of the disk. */
const MAX_UNSYNCED_YIELDS = 256;
const MAX_UNSYNCED_BYTES = 4 * 1024 * 1024;

/** The generator was told to return: whatever it gave back then is no result. */
export const INTERRUPTED = Symbol('interrupted');

/** An async generator, or an iterator by hand, which need not have a `return`. */
type TaskGenerator = AsyncIterator<TaskYield, unknown, void>;

/** @throws NonRetryableError for a generator that is not async: it would seem to complete without having run. */
export function isGenerator(value: unknown): value is TaskGenerator {
  if (typeof value !== 'object' || value === null || typeof (value as Partial<TaskGenerator>).next !== 'function') return false;
  if (typeof (value as Partial<AsyncGenerator>)[Symbol.asyncIterator] === 'function') return true;
  if (Symbol.iterator in value) throw new NonRetryableError('The handler is a generator that is not async: write "async *handle(…)".');
  return false;
}

/**
 * Runs a generator to its end and appends what it yields. When the run's signal fires, the generator gets `return()`, so that its
 * `finally` blocks run.
 * @returns its result, or INTERRUPTED when it stopped because it was told to.
 */
export async function pump(generator: TaskGenerator, run: TaskRun, { env }: RunSurroundings): Promise<unknown> {
  let returned: Promise<unknown> | undefined;
  const interrupt = (): void => {
    // A generator that is awaiting something answers only after that; a rejection is seen below, by whoever awaits it.
    returned = tellToReturn(generator);
    returned.catch(() => undefined);
  };
  // `return()` runs the generator's `finally` blocks where it is called from.
  const context = callerContext();
  run.onAbort = () => context.runInAsyncScope(interrupt);
  if (run.isAborted) interrupt();
  for (;;) {
    // `returned` rejects when a `finally` block threw: the run threw then.
    if (returned !== undefined) return returned.then(() => INTERRUPTED);
    const step = await generator.next();
    // `next()` was called before the abort, so `done` means that the generator finished by itself, even if our `return()` is queued behind it.
    if (step.done === true) return step.value;
    if (returned === undefined) await append(step.value, run, env.options.limits);
  }
}

/**
 * Of an iterator by hand there may be no `return`, or one that throws at once, gives no promise, or a promise that never settles: for
 * the last one there is the time after which whoever ignores his signal is given up. It is called from a timer, where nothing may be thrown.
 */
async function tellToReturn(generator: TaskGenerator): Promise<unknown> {
  return generator.return?.(undefined);
}

async function append(value: unknown, run: TaskRun, limits: RunSurroundings['env']['options']['limits']): Promise<void> {
  let entry;
  try {
    entry = yieldedEntry(value, limits);
  } catch (error) {
    return run.failAttempt(error);
  }
  const output = run.outputOrRefuse();
  output.addUnwatched(entry.type, entry.body);
  while (!run.isAborted && (output.pendingEntries >= MAX_UNSYNCED_YIELDS || output.pendingBytes >= MAX_UNSYNCED_BYTES))
    await output.changed();
}
