import { surveyLog } from '../wal/repair/log-survey.js';
import { databaseOverview } from '../storage/database-overview.js';
import type { CommandContext, CommandResult } from '../../../cli/command.interface.js';
import { databasePorts, requiredRepository } from './database-access.js';
import { DatabaseConnection } from '../../../repository/database.connection.js';
import { databaseTarget } from '../../../repository/database-target.js';
import { faultLine } from './inspect.command.js';
import { applyLog, withProjector, withWriter } from './log-application.js';
import { locateLog } from './log-location.js';

/** What the log retains, applied to a database that has nothing of it. */
export async function rebuild(context: CommandContext): Promise<CommandResult> {
  const { fs, args } = context;
  const options = requiredRepository(args);
  const { folder, eventLogPath } = await locateLog(fs, args.path);
  const survey = await surveyLog(fs, folder);
  const { logId, firstSeq, lastSeq } = survey;
  const faults = survey.faults.filter(({ kind }) => kind !== 'torn');
  if (faults.length > 0)
    return {
      exitCode: 1,
      report: { logId, done: false, faults },
      lines: [...faults.map(faultLine), 'repair the log itself first: taskflow log repair'],
    };
  const kept =
    firstSeq === 1
      ? 'all of the log'
      : `what the log still has; entries before ${firstSeq} were deleted by retention, and tasks that began there cannot come back`;
  if (!args.yes)
    return {
      exitCode: 1,
      report: { logId, done: false, firstSeq, lastSeq },
      lines: [`entries ${firstSeq} to ${lastSeq} would be applied: ${kept}`, 'add --yes to do it'],
    };
  const lines: string[] = [];
  const result = await withWriter(context, eventLogPath, (log) =>
    withProjector(
      context,
      options,
      (line) => lines.push(line),
      async (projector) => {
        const known = await knows(context, log.logId);
        if (known !== null) return known;
        const begun = new Set<string>();
        const leftOut = new Set<string>();
        // Entries of a task whose beginning is gone say nothing that a row could hold.
        const isWanted = (taskId: string, taskSeq: number | undefined): boolean => {
          if (taskSeq === 1) begun.add(taskId);
          if (begun.has(taskId)) return true;
          leftOut.add(taskId);
          return false;
        };
        const applied = await applyLog(log, projector, null, isWanted);
        return { ...applied, leftOut: [...leftOut].filter((id) => id !== '') };
      },
    ),
  );
  if (typeof result === 'string') return { exitCode: 1, report: { logId, done: false, refusal: result }, lines: [result] };
  lines.push(`${result.entries} entries applied, ${result.quarantined} set aside: ${kept}`);
  if (result.leftOut.length > 0)
    lines.push(`${result.leftOut.length} tasks left out, whose beginning the log no longer has: ${result.leftOut.join(', ')}`);
  return { exitCode: 0, report: { logId, done: true, ...result }, lines };
}

/** Why the database is not fresh, or null. */
async function knows(context: CommandContext, logId: string): Promise<string | null> {
  const connection = new DatabaseConnection(databaseTarget(requiredRepository(context.args)), 'confirm', databasePorts(context));
  try {
    await connection.open();
    const { homes } = await databaseOverview(connection, logId);
    const home = homes.find((each) => each.home === logId && (each.appliedSeq > 0 || each.tasks > 0 || each.deadEntries > 0));
    return home === undefined
      ? null
      : `the database has this log already, up to entry ${home.appliedSeq}: name a fresh one; nothing was changed`;
  } finally {
    await connection.close();
  }
}
