import type { ScannedFrame, Watermark } from '../../../lib/contracts/event-log.interface.js';
import { taskId } from '../../../lib/contracts/ids.js';
import type { LogEntry } from '../../../lib/contracts/log-entry.interface.js';
import type { AppliedBatch, FlushBatch, FlushCursor, Projector } from '../../../lib/contracts/task-store.interface.js';
import type { FlushListener, FlushLoopOptions } from '../../../lib/engines/local/projection/flusher.interface.js';
import type { FrameSource } from '../../../lib/engines/local/projection/frame-source.interface.js';
import { CursorMovedError, FencedWriterError } from '../../../lib/engines/local/storage/flush.errors.js';

export const LOG_ID = 'log-1';

export const loopOptions = (changes: Partial<FlushLoopOptions> = {}): FlushLoopOptions => ({
  logId: LOG_ID,
  ownerGen: 1,
  appliedAtLeast: 0,
  eventLogPath: './.taskflow/events.log',
  flushIntervalMs: 1000,
  maxBatchSize: 10,
  circuitBreakerThreshold: 3,
  circuitBreakerDurationMs: 30_000,
  ...changes,
});

/** A log in memory: frames of chosen sizes, one after the other. */
export class MemoryLog implements FrameSource {
  readonly stored: ScannedFrame[] = [];
  readsUpTo: number[] = [];
  isClosed = false;

  constructor(private readonly firstSeq = 1) {}

  get watermark(): Watermark {
    return { segment: this.firstSeq, byteOffset: this.stored.length * 100, seq: this.stored.at(-1)?.lastSeq ?? this.firstSeq - 1 };
  }

  append(...sizes: number[]): Watermark {
    for (const size of sizes) {
      const firstSeq = this.watermark.seq + 1;
      const entries = Array.from({ length: size }, (_, at) => entryOf(firstSeq + at));
      const zeros = entries.map(() => 0);
      const crc = (0xabc00000 + firstSeq).toString(16);
      this.stored.push({
        gen: 1,
        firstSeq,
        lastSeq: firstSeq + size - 1,
        crc,
        segment: this.firstSeq,
        entries,
        offsets: zeros,
        lengths: zeros,
      });
    }
    return this.watermark;
  }

  async frames(fromSeq: number, upTo: Watermark, { maxEntries }: { maxEntries: number }): Promise<ScannedFrame[]> {
    this.readsUpTo.push(upTo.seq);
    const found: ScannedFrame[] = [];
    let entries = 0;
    for (const frame of this.stored) {
      if (frame.lastSeq < fromSeq || frame.lastSeq > upTo.seq || entries >= maxEntries) continue;
      found.push({ ...frame, entries: frame.entries.filter((entry) => entry.seq >= fromSeq) });
      entries += frame.entries.length;
    }
    return found;
  }

  async close(): Promise<void> {
    this.isClosed = true;
  }
}

const entryOf = (seq: number): LogEntry => ({
  seq,
  type: 'created',
  taskId: taskId(`task-${seq}`),
  taskSeq: 1,
  at: seq,
  attempt: 1,
  fence: 0,
  owner: 'me',
  data: {},
});

/** A database in memory, with the rules of the cursor and faults on demand. */
export class MemoryProjector implements Projector {
  rows: number[] = [];
  stored: FlushCursor | null = null;
  batches: number[] = [];
  cursorReads = 0;
  isClosed = false;
  /** Thrown by the next calls of `apply`, one each. */
  readonly faults: Error[] = [];
  readonly cursorFaults: Error[] = [];
  faultsFired = 0;
  /** The next commit happens, but its answer is lost. */
  losesAnswer = false;
  quarantinedNext = 0;

  async open(): Promise<void> {}

  async cursor(): Promise<FlushCursor | null> {
    this.cursorReads++;
    this.fire(this.cursorFaults);
    return this.stored;
  }

  async apply({ logId, entries, from, to }: FlushBatch): Promise<AppliedBatch> {
    this.fire(this.faults);
    if (this.stored !== null && this.stored.ownerGen > to.ownerGen) throw new FencedWriterError(logId, to.ownerGen, this.stored.ownerGen);
    if ((this.stored?.appliedSeq ?? 0) !== (from?.appliedSeq ?? 0)) throw new CursorMovedError(logId, this.stored, from);
    this.rows.push(...entries.map((entry) => entry.seq));
    this.batches.push(entries.length);
    this.stored = to;
    if (this.losesAnswer) {
      this.losesAnswer = false;
      this.faultsFired++;
      throw Object.assign(new Error('connection lost'), { code: 'ECONNRESET' });
    }
    const quarantined = this.quarantinedNext;
    this.quarantinedNext = 0;
    return { cursor: to, quarantined };
  }

  isTransient(): boolean {
    return true;
  }

  async close(): Promise<void> {
    this.isClosed = true;
  }

  private fire(faults: Error[]): void {
    const fault = faults.shift();
    if (fault === undefined) return;
    this.faultsFired++;
    throw fault;
  }
}

export class RecordedReports implements FlushListener {
  appliedSeqs: number[] = [];
  quarantinedTotal = 0;
  states: string[] = [];
  reasons: (string | undefined)[] = [];
  haltedWith: Error | undefined;

  applied(cursor: FlushCursor, quarantined: number): void {
    this.appliedSeqs.push(cursor.appliedSeq);
    this.quarantinedTotal += quarantined;
  }

  breaker(state: string, reason: string | undefined): void {
    if (state !== this.states.at(-1)) this.states.push(state);
    this.reasons.push(reason);
  }

  halted(error: Error): void {
    this.haltedWith = error;
  }
}

export const oneToN = (count: number): number[] => Array.from({ length: count }, (_, at) => at + 1);
export const down = (): Error => Object.assign(new Error('connect ECONNREFUSED'), { code: 'ECONNREFUSED' });
