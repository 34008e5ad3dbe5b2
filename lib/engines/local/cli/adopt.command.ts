import type { LogDraft } from '../../../contracts/event-log.interface.js';
import type { TaskStore, UnfinishedHome } from '../../../contracts/task-store.interface.js';
import type { TaskState } from '../../../domain/task-state.js';
import { logIdOf } from '../wal/repair/log-survey.js';
import type { EventLogService } from '../wal/event-log.service.js';
import { isGone, LONG_HEARING_MS, silentAmong } from '../startup/signs-of-life.js';
import { checkCursor } from '../projection/cursor-check.js';
import { createTaskStore } from '../storage/repository.factory.js';
import { LogCursorFile } from '../wal/cursor-file.js';
import { UsageError } from '../../../cli/arguments.js';
import type { CommandContext, CommandResult } from '../../../cli/command.interface.js';
import { databasePorts, requireDatabaseFile, requiredRepository } from './database-access.js';
import { AwaitedGroup, applyLog, withProjector, withWriter } from './log-application.js';
import { locateLog } from './log-location.js';

const PAGE = 500;
/** Unfinished tasks of a lost log become those of this one: entries first, then rows, so that a crash between is only a flush that is late. */
export async function adopt(context: CommandContext): Promise<CommandResult> {
  const { fs, args } = context;
  const options = requiredRepository(args);
  const { folder, eventLogPath } = await locateLog(fs, args.path);
  const logId = await logIdOf(fs, folder);
  if (logId === null) throw new UsageError(`no segment of ${folder.directory} says which log it belongs to: see taskflow log verify`);
  if (args.home === logId) throw new UsageError(`${args.home} is this log itself`);
  await requireDatabaseFile(fs, options);
  const cursorFile = new LogCursorFile(fs, eventLogPath);
  const store = createTaskStore(options, { ...databasePorts(context), cursorFile, logId: () => logId });
  try {
    await store.open();
    const lost = (await store.unfinishedElsewhere(logId)).find(({ home }) => home === args.home);
    if (lost === undefined) return await nothingThere(context, store, logId);
    const refusal = await refusalOf(lost, store, logId, context);
    if (refusal !== null) return { exitCode: 1, report: { logId, home: args.home, done: false, tasks: [], refusal }, lines: [refusal] };
    if (!args.yes) return plan(lost, logId);
    const warnings: string[] = [];
    const adopted = await withWriter(context, eventLogPath, (log, opened) =>
      withProjector(
        context,
        options,
        (line) => warnings.push(line),
        async (projector) => {
          const cursor = await projector.cursor(opened.logId);
          const mark = cursor === null || cursor.appliedSeq === 0 ? undefined : await log.frameCrc(cursor.appliedSeq);
          checkCursor(opened, cursor, mark, eventLogPath);
          const tasks = await appendAdoptions(log, store, args.home);
          await applyLog(log, projector, cursor);
          return tasks;
        },
      ),
    );
    const lines = [...adopted.map((id) => `adopted   ${id}`), ...warnings];
    lines.push(`${adopted.length} tasks of ${args.home} are now this log's (${logId}); the next start runs them`);
    return { exitCode: 0, report: { logId, home: args.home, done: true, tasks: adopted, warnings }, lines };
  } finally {
    await store.close();
  }
}

/**
 * Two processes would run the same tasks. A sign of life of the last minute is enough, as its process may be busy and not give another one
 * just now; without one, this listens for a minute, since clocks differ from machine to machine.
 */
async function refusalOf(lost: UnfinishedHome, store: TaskStore, logId: string, { clock }: CommandContext): Promise<string | null> {
  if (isGone(lost, clock.now())) return null;
  const agoMs = clock.now() - lost.beatAt;
  if (Math.abs(agoMs) < LONG_HEARING_MS)
    return `A process of log ${lost.home} gave a sign of life ${Math.max(0, Math.round(agoMs / 1000))} s ago. Stop it first; if it is gone already, run this again in a minute.`;
  const look = async (): Promise<readonly UnfinishedHome[]> =>
    (await store.unfinishedElsewhere(logId)).filter(({ home }) => home === lost.home);
  if ((await silentAmong([lost], look, clock, LONG_HEARING_MS)).length > 0) return null;
  return `A process of log ${lost.home} gave a sign of life just now: its tasks are not lost. Stop it first.`;
}

async function nothingThere({ args }: CommandContext, store: TaskStore, logId: string): Promise<CommandResult> {
  const others = (await store.unfinishedElsewhere(logId)).map(({ home }) => home);
  const lines = [`log ${args.home} has no unfinished tasks in this database`];
  if (others.length > 0) lines.push(`logs that have: ${others.join(', ')}`);
  return { exitCode: 0, report: { logId, home: args.home, done: args.yes, tasks: [], others }, lines };
}

function plan({ home, unfinished, appliedSeq }: UnfinishedHome, logId: string): CommandResult {
  const lines = [
    `${unfinished} unfinished tasks of log ${home}, which the database has up to entry ${appliedSeq}, would become tasks of log ${logId}`,
    `what log ${home} had behind entry ${appliedSeq} is not in the database: if its folder still exists, start with it instead`,
    'add --yes to do it',
  ];
  return { exitCode: 1, report: { logId, home, done: false, unfinished, appliedSeq }, lines };
}

async function appendAdoptions(log: EventLogService, store: TaskStore, home: string): Promise<string[]> {
  const adopted: string[] = [];
  let after: { at: number; id: string } | null = null;
  for (;;) {
    const page: TaskState[] = await store.unfinished(home, undefined, after, PAGE);
    for (const each of page) adopted.push(each.id);
    if (page.length > 0) {
      const group = new AwaitedGroup(page.map(adoptionOf));
      log.append(group);
      await group.settled;
    }
    const last = page.at(-1);
    if (last === undefined || page.length < PAGE) return adopted;
    after = { at: last.createdAt, id: last.id };
  }
}

/** Of the task's own fence: an older one would be taken for something that came too late. */
const adoptionOf = ({ id, attempt, fence }: TaskState): LogDraft => ({
  type: 'adopted',
  taskId: id,
  taskSeq: undefined,
  attempt,
  fence,
  body: '',
});
