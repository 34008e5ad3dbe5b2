import { randomUUID } from 'node:crypto';
import { taskId } from '../../../lib/contracts/ids.js';
import type { LogEntry } from '../../../lib/contracts/log-entry.interface.js';
import type { EntryType } from '../../../lib/contracts/task-event.interface.js';
import type { FlushBatch, FlushCursor } from '../../../lib/contracts/task-store.interface.js';

/** Writes a log in memory, entry by entry, as the real one would number it. */
export class EntryScript {
  readonly entries: LogEntry[] = [];
  private readonly lastTaskSeq = new Map<string, number>();
  private readonly fences = new Map<string, number>();
  private at = 1_700_000_000_000;

  constructor(readonly logId: string = `log-${randomUUID()}`) {}

  created(id: string, data: Record<string, unknown> = {}): LogEntry {
    return this.add('created', id, { name: 'send-email', maxAttempts: 3, timeoutMs: 60_000, input: { to: id }, ...data });
  }

  add(type: EntryType, id: string, data: Record<string, unknown> = {}, overrides: Partial<LogEntry> = {}): LogEntry {
    if (type === 'start') this.fences.set(id, (this.fences.get(id) ?? 0) + 1);
    const isControl = ['heartbeat', 'cancel', 'pruned', 'dlq-removed', 'adopted', 'gap'].includes(type);
    const taskSeq = (this.lastTaskSeq.get(id) ?? 0) + 1;
    if (!isControl) this.lastTaskSeq.set(id, taskSeq);
    const entry: LogEntry = {
      seq: this.entries.length + 1,
      type,
      taskId: taskId(id),
      ...(isControl ? {} : { taskSeq }),
      at: (this.at += 1_000),
      attempt: 1,
      fence: this.fences.get(id) ?? 0,
      owner: 'owner-1',
      data,
      ...overrides,
    };
    this.entries.push(entry);
    return entry;
  }

  fail(id: string): void {
    this.add('start', id);
    this.add('error', id, { error: { name: 'Error', message: 'no', retryable: false } });
  }

  complete(id: string, result: unknown = { sent: true }): void {
    this.add('start', id);
    this.add('complete', id, { result });
  }

  cursorAt(seq: number, ownerGen = 1): FlushCursor {
    return { logId: this.logId, gen: 1, appliedSeq: seq, appliedCrc: seq.toString(16).padStart(8, '0'), ownerGen };
  }

  /** Everything after `from`, up to `to`. */
  batch(from: FlushCursor | null, to: number = this.entries.length, ownerGen = 1): FlushBatch {
    return { logId: this.logId, entries: this.entries.slice(from?.appliedSeq ?? 0, to), from, to: this.cursorAt(to, ownerGen) };
  }
}
