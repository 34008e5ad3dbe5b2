import { createTaskSystem } from '../create-task-system.js';
import type { Task } from '../contracts/task.interface.js';
import { taskId } from '../contracts/ids.js';
import { locateLog } from '../engines/local/cli/log-location.js';
import { requireDatabaseFile, requiredRepository } from '../engines/local/cli/database-access.js';
import { EventLogLockedError } from '../errors/storage.errors.js';
import type { TaskSystem } from '../task-system.js';
import type { CommandContext, CommandResult } from './command.interface.js';

/** A new life for a task that failed or was cancelled: the next start of its system runs it. */
export const retry = (context: CommandContext): Promise<CommandResult> =>
  change(context, 'wait for its system, and begin a new life', (system, ref) => system.retry(ref));

/** An end for a task that waits, or that ran when its process died. */
export const cancel = (context: CommandContext): Promise<CommandResult> =>
  change(context, 'be cancelled', (system, ref) => system.cancel(ref, { reason: 'taskflow tasks cancel' }));

/**
 * The change is made by a task system that runs nothing, so that every rule of the running one holds: the log's lock, the gate, the database
 * that belongs to it. What a crash interrupted is put back first, as by any start.
 */
async function change(
  context: CommandContext,
  what: string,
  work: (system: TaskSystem, ref: { taskId: string }) => Promise<Task>,
): Promise<CommandResult> {
  const { fs, args } = context;
  const repository = requiredRepository(args);
  // A start would make both where they are not.
  const { eventLogPath } = await locateLog(fs, args.path);
  await requireDatabaseFile(fs, repository);
  const id = taskId(args.task!);
  if (!args.yes) return plan(context, id, what);
  const system = await createTaskSystem({
    repository,
    // What an operator appends is little and lifts a blockade: it may use the room that is kept free.
    eventLog: { eventLogPath, lockTimeoutMs: 0, minFreeBytes: 0 },
    flush: { worker: 'inline' },
    executor: { enabled: false },
    hooks: { logger: QUIET },
  });
  try {
    await system.initialize();
    const task = await work(system, { taskId: id });
    return { exitCode: 0, report: { done: true, task }, lines: [`task ${task.id} (${task.name}) is ${task.status}`] };
  } catch (error) {
    if (!EventLogLockedError.is(error)) throw error;
    const { message } = error;
    const remedy = `A system that runs changes its tasks itself: call tasks.${args.command}({ taskId }) in it, for example by a route of yours, or stop it first.`;
    return { exitCode: 1, report: { done: false, refusal: message, remedy }, lines: [message, remedy] };
  } finally {
    await system.shutdown();
  }
}

async function plan(context: CommandContext, id: string, what: string): Promise<CommandResult> {
  const { show } = await import('../engines/local/cli/show.command.js');
  const { exitCode, report, lines } = await show(context);
  if (exitCode === 1) return { exitCode, report, lines };
  return { exitCode: 1, report: { ...report, done: false }, lines: [lines[0]!, `task ${id} would ${what}`, 'add --yes to do it'] };
}

const QUIET = { log() {}, error() {}, warn() {}, debug() {}, verbose() {}, fatal() {} };
