import type { LogDraft } from '../../../contracts/event-log.interface.js';
import type { EntryData, LogEntry } from '../../../contracts/log-entry.interface.js';
import type { TaskId } from '../../../contracts/ids.js';
import type { EntryType } from '../../../contracts/task-event.interface.js';
import { isEntryType } from '../../../domain/entry-types.js';

const NEWLINE = 10;
const CLOSING_BRACE = 125;
/** `{"s":<16>,"e":"<11>"` fits. */
const HEAD_BYTES = 48;
/** Upper bound of a line without task id, owner and `d`. */
const ENVELOPE_BYTES = 256;
const NO_DATA: EntryData = Object.freeze({});

interface Line {
  s: number;
  e: EntryType;
  t: string;
  q?: number;
  at: number;
  a: number;
  f: number;
  o: string;
  d?: EntryData;
}

/** Never less than the encoded line takes. */
export const lineBytesAtMost = (draft: LogDraft): number => ENVELOPE_BYTES + 6 * draft.taskId.length + Buffer.byteLength(draft.body);

/** What the lines of a frame mostly say alike, spelled once. */
export interface LineStamp {
  readonly time: string;
  readonly owner: string;
}

export const lineStamp = (at: number, owner: string): LineStamp => ({ time: `,"at":${at},"a":`, owner: `,"o":"${owner}"` });

/**
 * Writes one line with its newline, where `lineBytesAtMost` bytes are free. The body was encoded by whoever made the entry, which is most
 * of what an entry costs: it is not put into a longer text first.
 * @returns the bytes written.
 */
export function writeLine(buffer: Buffer, from: number, draft: LogDraft, seq: number, stamp: LineStamp): number {
  const taskSeq = draft.taskSeq === undefined ? '' : `,"q":${draft.taskSeq}`;
  const data = draft.body === '' ? '' : ',"d":';
  const head = `{"s":${seq},"e":"${draft.type}","t":${JSON.stringify(draft.taskId)}${taskSeq}${stamp.time}${draft.attempt},"f":${draft.fence}${stamp.owner}${data}`;
  let end = from + buffer.write(head, from, 'utf8');
  if (draft.body !== '') end += buffer.write(draft.body, end, 'utf8');
  buffer[end] = CLOSING_BRACE;
  buffer[end + 1] = NEWLINE;
  return end + 2 - from;
}

export function decodeLine(text: string): LogEntry {
  const line = JSON.parse(text) as Line;
  return {
    seq: line.s,
    type: line.e,
    taskId: line.t as TaskId,
    ...(line.q === undefined ? {} : { taskSeq: line.q }),
    at: line.at,
    attempt: line.a,
    fence: line.f,
    owner: line.o,
    data: line.d ?? NO_DATA,
  };
}

/** `at` of the first line of a frame. A quote inside a value is escaped, so that the first match is the member. */
export const timeOf = (body: Buffer): number => {
  const start = body.indexOf('"at":') + 5;
  return Number.parseInt(body.toString('latin1', start, start + 16), 10);
};

/** Where the lines of a body begin and how long they are, newline excluded. */
export function linesOf(body: Buffer, bodyOffset: number): { offsets: number[]; lengths: number[] } {
  const offsets: number[] = [];
  const lengths: number[] = [];
  for (let at = 0; at < body.length;) {
    const end = body.indexOf(NEWLINE, at);
    offsets.push(bodyOffset + at);
    lengths.push(end - at);
    at = end + 1;
  }
  return { offsets, lengths };
}

/** What is wrong with a body whose checksum is right, or null. Reads numbers and types only; it does not parse JSON. */
export function bodyFault(body: Buffer, firstSeq: number, count: number): string | null {
  let at = 0;
  for (let seq = firstSeq; seq < firstSeq + count; seq++) {
    const end = body.indexOf(NEWLINE, at);
    if (end === -1) return `entry ${seq} is missing`;
    const head = body.toString('latin1', at, Math.min(end, at + HEAD_BYTES));
    const prefix = `{"s":${seq},"e":"`;
    if (!head.startsWith(prefix)) return `entry ${seq} is not where it should be`;
    const type = head.slice(prefix.length, head.indexOf('"', prefix.length));
    if (!isEntryType(type)) return `entry ${seq} is of type "${type}", which this release does not know: install the release that wrote it`;
    at = end + 1;
  }
  return at === body.length ? null : `the frame holds more than its ${count} entries`;
}
