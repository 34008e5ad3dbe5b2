import { inFlight, stopwatch, until } from '../core/load.mjs';
import { CALLERS, CONCURRENCY, INPUT } from '../core/settings.mjs';
import { flushed, openSystem } from '../systems/taskflow.mjs';

/**
 * A system with a gate in its handler: closed, 50 runs wait and all else stays queued. Measured call by call, so that two of
 * them can take turns. What was queued or finished before stays so: a measurement adds as many tasks as it completes.
 */
export async function run({ folder, backlog }) {
  const gate = newGate();
  const startedAt = performance.now();
  const { system, close } = await openSystem(
    { noop: async () => (gate.isOpen ? undefined : gate.opened()) },
    folder === undefined ? {} : { folder },
  );
  const completed = () => system.getStats().tasks.completed;
  const submitMany = (tasks) => inFlight(tasks, CALLERS, () => system.submit('noop', { input: INPUT }));
  await system.submit('noop', { input: INPUT });
  const readyMs = performance.now() - startedAt;
  const waiting = () => system.getStats().tasks.queued + system.getStats().tasks.running;
  // The first submit is accepted long before a million tasks are read.
  if (folder !== undefined) await until(() => waiting() >= backlog, 'The backlog was not loaded', 300_000, 50);
  const missing = backlog + CONCURRENCY - waiting();
  if (missing > 0) await submitMany(missing);
  const loadedMs = performance.now() - startedAt;
  await flushed(system);

  /** Each submit and each completion is half a task. */
  const whileOpen = async (submits, completions) => {
    const already = completed();
    gate.open();
    const stop = stopwatch();
    await submitMany(submits);
    await until(() => completed() >= already + completions, 'Not every task completed', 120_000, 1);
    const rate = stop((submits + completed() - already) / 2);
    gate.close();
    await flushed(system);
    return rate;
  };
  const calls = {
    /** W1: the tasks only queue up. They are run afterwards. */
    submit: async ({ tasks }) => {
      const stop = stopwatch();
      await submitMany(tasks);
      const rate = stop(tasks);
      await whileOpen(0, tasks);
      return rate;
    },
    /** W2: at least as many completed as submitted; with a backlog, runs need not wait for submits. */
    endToEnd: ({ tasks }) => whileOpen(tasks, tasks),
    close: async () => {
      gate.open();
      await close();
    },
  };
  return { calls, ready: { readyMs, loadedMs } };
}

function newGate() {
  let release;
  let waiting;
  const gate = {
    isOpen: false,
    opened: () => waiting,
    open: () => {
      gate.isOpen = true;
      release();
    },
    close: () => {
      gate.isOpen = false;
      waiting = new Promise((resolve) => (release = resolve));
    },
  };
  gate.close();
  return gate;
}
