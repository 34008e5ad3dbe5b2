import { taskId } from '../../../contracts/ids.js';
import type { EntryData, LogEntry } from '../../../contracts/log-entry.interface.js';
import type { EntryType } from '../../../contracts/task-event.interface.js';

interface LogLine {
  readonly s: number;
  readonly e: EntryType;
  readonly t: string;
  readonly q?: number;
  readonly at: number;
  readonly a: number;
  readonly f: number;
  readonly o: string;
  readonly d?: EntryData;
}

/** The line as the log has it, so that a dead entry can be compared with its segment, and applied again after that is gone. */
export function lineOf(entry: LogEntry): string {
  const line: LogLine = {
    s: entry.seq,
    e: entry.type,
    t: entry.taskId,
    ...(entry.taskSeq === undefined ? {} : { q: entry.taskSeq }),
    at: entry.at,
    a: entry.attempt,
    f: entry.fence,
    o: entry.owner,
    ...(isEmpty(entry.data) ? {} : { d: entry.data }),
  };
  return JSON.stringify(line);
}

export function entryOfLine(text: string): LogEntry {
  const line = JSON.parse(text) as LogLine;
  return {
    seq: line.s,
    type: line.e,
    taskId: taskId(line.t),
    ...(line.q === undefined ? {} : { taskSeq: line.q }),
    at: line.at,
    attempt: line.a,
    fence: line.f,
    owner: line.o,
    data: line.d ?? {},
  };
}

/** What the events table keeps of an entry: the submitted input, which may be large, is in the task alone. */
export function eventBody(entry: Pick<LogEntry, 'type' | 'data'>): string {
  const { data } = entry;
  if (entry.type !== 'created') return isEmpty(data) ? '' : JSON.stringify(data);
  const { input: _, ...rest } = data;
  return JSON.stringify(rest);
}

function isEmpty(data: EntryData): boolean {
  for (const _ in data) return false;
  return true;
}
