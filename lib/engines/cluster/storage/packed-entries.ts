import type { TaskId } from '../../../contracts/ids.js';
import type { EntryType } from '../../../contracts/task-event.interface.js';
import type { StoredEntry } from '../../../contracts/task-history.interface.js';
import { entryOfRow } from '../../../repository/task-row.mapper.js';
import type { SqlRow } from '../../../repository/sql-session.interface.js';
import type { EventRow } from './apply-call.interface.js';

/** What each entry of a packed row has of its own: type, time, and the JSON text of its facts. */
type Packed = readonly [type: EntryType, at: number, body: string];

type NumberedEntry = StoredEntry & { readonly taskSeq: number };

/**
 * Consecutive entries of one run as one row: a quarter of the rows, indexes and commits' bytes of a run that reports much. One entry
 * stays a row as ever.
 */
export function packed(entries: readonly NumberedEntry[]): EventRow[] {
  const last = entries.at(-1);
  if (last === undefined) return [];
  const { taskSeq, at, attempt, fence } = last;
  if (entries.length === 1) return [{ seq: taskSeq, n: 1, type: last.type, at, attempt, fence, data: last.body }];
  const data = JSON.stringify(entries.map((each): Packed => [each.type, each.at, each.body]));
  return [{ seq: taskSeq, n: entries.length, type: 'packed', at, attempt, fence, data }];
}

/** The entries of a row of events, in their order. */
export function entriesOfRow(row: SqlRow): StoredEntry[] {
  const n = Number(row['n'] ?? 1);
  if (n === 1) return [entryOfRow(row)];
  const first = Number(row['seq']) - n + 1;
  const entries = JSON.parse(row['data'] as string) as readonly Packed[];
  return entries.map(([type, at, body], place) => ({
    taskSeq: first + place,
    type,
    at,
    attempt: row['attempt'] as number,
    fence: row['fence'] as number,
    body,
  }));
}

/** Entries of one task that somebody follows. */
export interface FollowedEntries {
  readonly id: TaskId;
  readonly entries: readonly StoredEntry[];
}
