import { logIdOf } from '../wal/repair/log-survey.js';
import { type DeadTask, deadTasks, type RetriedTask, retryDeadTask } from '../storage/rejected/dead-entry-retry.js';
import type { DatabaseConnection } from '../../../repository/database.connection.js';
import { UsageError } from '../../../cli/arguments.js';
import type { CommandContext, CommandResult } from '../../../cli/command.interface.js';
import { requiredRepository, withDatabase } from './database-access.js';
import { locateLog } from './log-location.js';

/** What the database refused is applied again, once what was in its way is gone. The system may run meanwhile. */
export async function retryDead(context: CommandContext): Promise<CommandResult> {
  const { fs, args } = context;
  const options = requiredRepository(args);
  const { folder } = await locateLog(fs, args.path);
  const logId = await logIdOf(fs, folder);
  if (logId === null) throw new UsageError(`no segment of ${folder.directory} says which log it belongs to: see taskflow log verify`);
  return withDatabase(context, options, args.yes ? 'writer' : 'confirm', (connection) =>
    args.yes ? retry(connection, logId, args.task) : show(connection, logId, args.task),
  );
}

async function* tasksOf(connection: DatabaseConnection, logId: string, only: string | undefined): AsyncGenerator<DeadTask> {
  for (let after = ''; ;) {
    const page = await deadTasks(connection, logId, after);
    if (page.length === 0) return;
    yield* only === undefined ? page : page.filter(({ taskId }) => taskId === only);
    after = page.at(-1)!.taskId;
  }
}

async function show(connection: DatabaseConnection, logId: string, only: string | undefined): Promise<CommandResult> {
  const tasks: DeadTask[] = [];
  for await (const task of tasksOf(connection, logId, only)) tasks.push(task);
  const lines = tasks.map(({ taskId, entries, reason }) => `${taskId}: ${entries} dead entries (${reason})`);
  lines.push(tasks.length === 0 ? 'nothing is dead' : `${tasks.length} tasks would be applied again; add --yes to do it`);
  return { exitCode: tasks.length === 0 ? 0 : 1, report: { logId, done: false, tasks }, lines };
}

async function retry(connection: DatabaseConnection, logId: string, only: string | undefined): Promise<CommandResult> {
  const tasks: RetriedTask[] = [];
  for await (const { taskId } of tasksOf(connection, logId, only)) tasks.push(await retryDeadTask(connection, taskId));
  const refused = tasks.filter(({ reason }) => reason !== null);
  const lines = tasks.map(
    ({ taskId, entries, reason }) => `${taskId}: ${entries} entries ${reason === null ? 'applied' : `STILL REFUSED (${reason})`}`,
  );
  lines.push(`${tasks.length - refused.length} tasks applied, ${refused.length} still refused`);
  return { exitCode: refused.length === 0 ? 0 : 1, report: { logId, done: true, tasks }, lines };
}
