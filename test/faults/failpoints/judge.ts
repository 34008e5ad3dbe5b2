import { readFile } from 'node:fs/promises';
import { type PlainTask, type RowContents, STATUS } from '../../support/oracle/log-and-rows.js';
import type { LogLine } from './retained-log.js';

/** What the app noted, in order. */
export type Note =
  | { readonly k: 'try'; readonly life: number; readonly name: string; readonly params: { readonly idempotencyKey: string } }
  | { readonly k: 'ack'; readonly life: number; readonly id: string; readonly key?: string }
  | { readonly k: 'start'; readonly life: number; readonly id: string; readonly fence: number; readonly attempt: number }
  | { readonly k: 'saw'; readonly life: number; readonly id: string; readonly seq: number; readonly type: string }
  | { readonly k: 'cancel'; readonly life: number; readonly id: string }
  | { readonly k: 'refused' | 'watch-failed'; readonly life: number; readonly message: string };

export const readNotes = async (path: string): Promise<Note[]> =>
  (await readFile(path, 'utf8').catch(() => ''))
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line) as Note);

/** Runs one after the other, each but the last ended by what puts a task back; one end at most, and nothing behind it. */
const LIFE =
  /^created(,start(,progress|,custom)*,(retry|recovered))*(,start(,progress|,custom)*(,complete|,error|,cancelled)?|,cancelled)?$/;
const TERMINAL = /^(complete|error|cancelled)$/;

export interface Found {
  readonly lines: readonly LogLine[];
  readonly rows: RowContents;
  readonly notes: readonly Note[];
}

/**
 * What must hold after any kill, of log, rows and what the app had noted. Everything is derived here anew, without code of the library.
 * @returns what does not hold, in words.
 */
export function faultsAfterKill({ lines, rows, notes }: Found): string[] {
  const appliedSeq = rows.appliedSeqs[0] ?? 0;
  const applied = foldLines(lines.filter(({ s }) => s <= appliedSeq));
  const all = foldLines(lines);
  return [
    ...faultsOfCursor(lines, rows),
    ...faultsOfRows(rows, applied, lines[0]?.s ?? 1),
    ...faultsOfStories(mergedStories(rows, all)),
    ...faultsOfNotes(notes, mergedStories(rows, all), all.pruned),
  ];
}

interface Folded {
  readonly tasks: Map<string, PlainTask>;
  readonly pruned: Set<string>;
}

export function foldLines(lines: readonly LogLine[]): Folded {
  const tasks = new Map<string, PlainTask>();
  const pruned = new Set<string>();
  for (const { e, t, q, f } of lines) {
    if (e === 'pruned') {
      tasks.delete(t);
      pruned.add(t);
    }
    if (q === undefined) continue;
    const before = tasks.get(t);
    const events = [...(before?.events ?? []), `${q} ${e}`];
    tasks.set(t, { status: STATUS[e] ?? before?.status ?? 'unknown', lastSeq: q, fence: f, events });
  }
  return { tasks, pruned };
}

function faultsOfCursor(lines: readonly LogLine[], { appliedSeqs, dead }: RowContents): string[] {
  const [appliedSeq = 0, ...others] = appliedSeqs;
  const last = lines.at(-1)?.s;
  const faults = others.length > 0 ? [`${appliedSeqs.length} cursors`] : [];
  if (dead.length > 0) faults.push(`${dead.length} entries were set aside: ${dead[0]}`);
  if (last !== undefined && appliedSeq > last) faults.push(`the database holds entry ${appliedSeq}, the log ends at ${last}`);
  // What is neither in the log any more nor in the database yet is lost.
  if (lines[0] !== undefined && lines[0].s > appliedSeq + 1) faults.push(`entries ${appliedSeq + 1} to ${lines[0].s - 1} are nowhere`);
  return faults;
}

/** P7: rows are the fold of the log up to the cursor. Where the beginning of a task is no longer in the log, the end is compared. */
function faultsOfRows({ tasks }: RowContents, applied: Folded, firstSeq: number): string[] {
  const faults: string[] = [];
  for (const [id, folded] of applied.tasks) {
    const row = tasks.get(id);
    const isWhole = folded.events[0] === '1 created';
    const events = isWhole ? row?.events : row?.events.slice(-folded.events.length);
    const status = folded.status === 'unknown' ? 'unknown' : row?.status;
    if (JSON.stringify({ ...row, status, events }) !== JSON.stringify(folded))
      faults.push(`row of ${id} is ${JSON.stringify(row)}, the log says ${JSON.stringify(folded)}`);
  }
  for (const [id, row] of tasks) {
    if (!applied.tasks.has(id) && firstSeq === 1) faults.push(`row of ${id}, which the log does not know or has pruned`);
    if (row.events.length !== row.lastSeq) faults.push(`row of ${id} has ${row.events.length} events, its last is ${row.lastSeq}`);
  }
  return faults;
}

/** All that is known of each task, from rows and log together: `2 start` at place 1. */
function mergedStories({ tasks }: RowContents, { tasks: logged, pruned }: Folded): Map<string, string[]> {
  const stories = new Map<string, string[]>();
  for (const id of new Set([...tasks.keys(), ...logged.keys()])) {
    if (pruned.has(id)) continue;
    const bySeq = new Map(
      [...(tasks.get(id)?.events ?? []), ...(logged.get(id)?.events ?? [])].map((event) => [parseInt(event, 10), event]),
    );
    stories.set(
      id,
      [...bySeq].sort(([a], [b]) => a - b).map(([, event]) => event),
    );
  }
  return stories;
}

/** P3 and P5. */
function faultsOfStories(stories: ReadonlyMap<string, string[]>): string[] {
  return [...stories].flatMap(([id, events]) => {
    const types = events.map((event) => event.replace(/^\d+ /, '')).join(',');
    const isContiguous = events.every((event, at) => event.startsWith(`${at + 1} `));
    return isContiguous && LIFE.test(types) ? [] : `${id}: ${events.join(', ')}`;
  });
}

/** P1, P2, P6: what was acknowledged is there once, what was seen is true, what had ended is not started again. */
function faultsOfNotes(notes: readonly Note[], stories: ReadonlyMap<string, string[]>, pruned: ReadonlySet<string>): string[] {
  const faults: string[] = [];
  const idOfKey = new Map<string, string>();
  const fences = new Map<string, number>();
  const ended = new Set<string>();
  for (const note of notes) {
    if (note.k === 'refused' || note.k === 'watch-failed') faults.push(`${note.k}: ${note.message}`);
    if (note.k === 'ack') {
      if (!stories.has(note.id) && !pruned.has(note.id)) faults.push(`${note.id} was acknowledged in life ${note.life}, and is nowhere`);
      if (note.key !== undefined && (idOfKey.get(note.key) ?? note.id) !== note.id) faults.push(`two tasks for ${note.key}`);
      if (note.key !== undefined) idOfKey.set(note.key, note.id);
    }
    if (note.k === 'saw') {
      const known = stories.get(note.id)?.[note.seq - 1];
      if (known !== `${note.seq} ${note.type}` && !pruned.has(note.id))
        faults.push(`${note.id}: ${note.seq} ${note.type} was seen, is ${known}`);
      if (TERMINAL.test(note.type)) ended.add(note.id);
    }
    if (note.k === 'start') {
      if (ended.has(note.id)) faults.push(`${note.id} had ended, and was started again in life ${note.life}`);
      if ((fences.get(note.id) ?? 0) >= note.fence) faults.push(`${note.id} was started twice with fence ${note.fence}`);
      fences.set(note.id, note.fence);
    }
  }
  return faults;
}

export interface FinalAnswer {
  readonly said: Readonly<Record<string, { readonly status: string; readonly lastSeq: number; readonly events: readonly string[] } | null>>;
  readonly again: readonly { readonly key: string; readonly id: string }[];
}

/** What must hold at the end, when the app had time for everything and was stopped cleanly. */
export function faultsAtEnd(found: Found, { said, again }: FinalAnswer): string[] {
  const { lines, rows, notes } = found;
  const faults = faultsAfterKill(found);
  const { pruned } = foldLines(lines);
  const last = lines.at(-1)?.s ?? rows.appliedSeqs[0];
  if (rows.appliedSeqs[0] !== last) faults.push(`the database holds entry ${rows.appliedSeqs[0]}, the log ends at ${last}`);
  for (const [id, task] of rows.tasks) {
    const [, end = ''] = task.events.at(-1)?.split(' ') ?? [];
    if (!TERMINAL.test(end) || task.status !== STATUS[end]) faults.push(`${id} is ${task.status} after ${task.events.join(', ')}`);
  }
  for (const [id, answer] of Object.entries(said)) {
    const row = rows.tasks.get(id);
    const shown = row === undefined ? null : { status: row.status, lastSeq: row.lastSeq, events: row.events };
    if (JSON.stringify(answer) !== JSON.stringify(shown))
      faults.push(`the app says of ${id}: ${JSON.stringify(answer)}; its row is ${JSON.stringify(shown)}`);
  }
  const idOfKey = new Map(again.map(({ key, id }) => [key, id]));
  for (const note of notes) {
    if (note.k === 'ack' && note.key !== undefined && !pruned.has(note.id) && idOfKey.get(note.key) !== note.id)
      faults.push(`${note.key} gave ${note.id}, and now gives ${idOfKey.get(note.key)}`);
    if (note.k === 'cancel' && !pruned.has(note.id) && rows.tasks.get(note.id)?.status !== 'cancelled')
      faults.push(`${note.id} was to be cancelled, and is ${rows.tasks.get(note.id)?.status}`);
  }
  return faults;
}
