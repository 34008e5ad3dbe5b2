import type { StoredEntry } from '../../../contracts/task-history.interface.js';
import type { CommandContext, CommandResult } from '../../../cli/command.interface.js';
import { lineOf, reportOf, short, withRows } from './task-rows.js';

/** Events shown: the newest. */
const MOST_EVENTS = 100;
const PAGE = 500;

/** One task and its newest events, as the rows say. Exit code 1: there is none of that id. */
export async function show(context: CommandContext): Promise<CommandResult> {
  const id = context.args.task!;
  return withRows(context, async (store) => {
    const state = (await store.findByIds([id])).get(id);
    if (state === undefined)
      return { exitCode: 1, report: { task: null, events: [] }, lines: [`the database has no task ${id}; the log may have it still`] };
    const events: StoredEntry[] = [];
    for (let after = Math.max(0, state.lastSeq - MOST_EVENTS); ;) {
      const page = await store.entriesAfter(id, after, PAGE);
      events.push(...page);
      if (page.length < PAGE) break;
      after = page.at(-1)!.taskSeq!;
    }
    const lines = [
      lineOf(state),
      `  key ${state.key ?? 'none'}, priority ${state.priority}, tags ${state.tags.join(', ') || 'none'}, log ${state.home}`,
      `  attempt ${state.attempt} of ${state.maxAttempts}, fence ${state.fence}, life ${state.life}, ${state.recoveries} crashes in a row`,
      `  input  ${short(state.input ?? 'none')}`,
      ...(state.result === undefined ? [] : [`  result ${short(state.result)}`]),
      ...events.map((entry) => `  ${eventLine(entry)}`),
    ];
    return { exitCode: 0, report: { task: reportOf(state), events: events.map(eventReport) }, lines };
  });
}

const eventLine = ({ taskSeq, at, type, attempt, body }: StoredEntry): string =>
  `${String(taskSeq).padStart(5)}  ${new Date(at).toISOString()}  ${type.padEnd(9)}  attempt ${attempt}  ${short(body)}`;

const eventReport = ({ taskSeq, at, type, attempt, fence, body }: StoredEntry): object => ({
  seq: taskSeq,
  type,
  at,
  attempt,
  fence,
  ...(body === '' ? {} : { data: JSON.parse(body) as unknown }),
});
