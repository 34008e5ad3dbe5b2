import { decodeCursor, encodeCursor } from '../../../domain/page-cursor.js';
import { TaskSystemError } from '../../../errors/task-system.error.js';
import type { Arguments } from '../../../cli/arguments.js';
import { UsageError } from '../../../cli/arguments.js';
import type { CommandContext, CommandResult } from '../../../cli/command.interface.js';
import { lineOf, reportOf, withRows } from './task-rows.js';

/** Tasks, newest first, as their rows say. */
export async function list(context: CommandContext): Promise<CommandResult> {
  const { status, name, tag, user, limit, cursor } = context.args;
  const after = positionOf(cursor);
  const query = {
    ...(status === undefined ? {} : { status }),
    ...(name === undefined ? {} : { name }),
    ...(tag === undefined ? {} : { tag }),
    ...(user === undefined ? {} : { userId: user === '' ? null : user }),
    ...(after === undefined ? {} : { after }),
  };
  // One more than shown says whether there are more.
  const states = await withRows(context, (store) => store.list({ ...query, limit: limit + 1 }));
  const shown = states.slice(0, limit);
  const last = shown.at(-1);
  const nextCursor =
    states.length > limit && last !== undefined
      ? encodeCursor({ at: last.createdAt, id: last.id, count: (after?.count ?? 0) + shown.length })
      : null;
  const lines = shown.map(lineOf);
  if (shown.length === 0) lines.push('no task');
  if (nextCursor !== null) lines.push(`more: --cursor ${nextCursor}`);
  return { exitCode: 0, report: { items: shown.map(reportOf), nextCursor }, lines };
}

function positionOf(cursor: Arguments['cursor']): ReturnType<typeof decodeCursor> {
  try {
    return decodeCursor(cursor);
  } catch (error) {
    throw TaskSystemError.is(error) ? new UsageError('--cursor must be what the page before gave') : error;
  }
}
