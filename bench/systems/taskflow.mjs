import { join } from 'node:path';
import { Logger } from '@nestjs/common';
import { createTaskSystem } from '../../dist/index.js';
import { until } from '../core/load.mjs';
import { CONCURRENCY, newFolder, removeFolder } from '../core/settings.mjs';

// Nest tells of every start; only what goes wrong matters here.
Logger.overrideLogger(['warn', 'error']);

const RAISED = 10_000_000;

export const settings =
  'Default options (SQLite, flush in its own process), except limits that would refuse the load: guard.backpressure.maxTasksPerWindow, maxTasksPerUserWindow and maxQueuedSize, ' +
  'stream.maxSubscribersPerTask and maxSubscribers at 10,000,000, guard.slots.maxExecutionPerUser at 50. W1 runs with executor.enabled: false, so that nothing but submits is measured.';

/** Options of a system in a folder. */
export const optionsIn = (folder, more = {}) => ({
  eventLog: { eventLogPath: join(folder, 'events.log') },
  repository: { type: 'sqlite', database: join(folder, 'tasks.db') },
  guard: {
    backpressure: { maxTasksPerWindow: RAISED, maxTasksPerUserWindow: RAISED, maxQueuedSize: RAISED },
    slots: { maxExecutionGlobal: CONCURRENCY, maxExecutionPerUser: CONCURRENCY },
  },
  stream: { maxSubscribersPerTask: RAISED, maxSubscribersPerUser: RAISED, maxSubscribers: RAISED },
  ...more,
});

/** A started system; `handlers` by task name. Without a folder it has one of its own, which `close` removes. */
export async function openSystem(handlers, { folder, ...more } = {}) {
  const own = folder ?? (await newFolder());
  const system = await createTaskSystem(optionsIn(own, more));
  for (const [name, handler] of Object.entries(handlers)) system.defineTask(name, { handler });
  await system.initialize();
  const close = async () => {
    await system.shutdown({ force: true });
    if (folder === undefined) await removeFolder(own);
  };
  return { system, close };
}

/** Everything that is durable is also in the database. */
export const flushed = (system, patienceMs = 300_000) =>
  until(() => system.getStats().flush.appliedSeq >= system.getStats().eventLog.durableSeq, 'The flush did not catch up', patienceMs, 20);

/** What the workloads that peers run too call. */
export async function open({ runs }) {
  const { system, close } = await openSystem({ noop: async () => undefined }, runs ? {} : { executor: { enabled: false } });
  return {
    submit: (input) => system.submit('noop', { input }),
    result: (task) => system.result(task),
    // Counted when the `complete` entry is durable.
    completed: () => system.getStats().tasks.completed,
    close,
  };
}

/** The peers' workload: as many queued tasks as asked for, while every slot is taken by a run that waits. */
export async function openHeld() {
  let release;
  const held = new Promise((resolve) => (release = resolve));
  const { system, close } = await openSystem({ hold: () => held, noop: async () => undefined });
  for (let i = 0; i < CONCURRENCY; i++) await system.submit('hold', { input: null });
  return {
    submit: (input) => system.submit('noop', { input }),
    settled: () => flushed(system),
    queued: () => system.getStats().tasks.queued,
    close: async () => {
      release();
      await close();
    },
  };
}

export { events } from './taskflow-events.mjs';
