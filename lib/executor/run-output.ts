import type { Clock } from '../contracts/clock.interface.js';
import type { FactDraft, FactOutcome, FactPort } from '../contracts/fact-port.interface.js';
import type { TaskStatus } from '../contracts/task.interface.js';
import type { TaskState } from '../domain/task-state.js';
import { BackpressureError } from '../errors/admission.errors.js';
import { ConflictError } from '../errors/request.errors.js';
import { isFactRefused, isRefusedForNow } from '../errors/fact-refused.js';
import { Deferred } from '../primitives/deferred.js';

const MAX_PENDING_ENTRIES = 1000;
const MAX_PENDING_BYTES = 8 * 1024 * 1024;
/** One group of the log is at most this large, so that one run cannot stretch the frame of all. */
const MAX_GROUP_ENTRIES = 256;
const MAX_GROUP_BYTES = 512 * 1024;
/** Estimate for callers that wait and try again: a few syncs. Unit: ms. */
const RETRY_AFTER_MS = 50;
const RUNNING: readonly TaskStatus[] = ['running'];

/** The run, as far as its output concerns it. */
export interface OutputOwner {
  /** The task has moved on: this run may write nothing more. */
  fenced(): void;
  /** This process makes no more facts. */
  halted(error: unknown): void;
  /** The port refused an entry for what it is. */
  failAttempt(error: unknown): void;
}

interface OutputEntry {
  readonly draft: FactDraft;
  readonly bytes: number;
  /** Who may wait for it; generators wait for `changed` instead. */
  readonly waiter: Deferred | undefined;
}

/**
 * The `progress` and `custom` entries of one run, in order. One group is on its way at a time; what comes meanwhile is the next
 * group. A group refused for want of space waits here, with everything behind it, and is made when the log accepts again.
 */
export class RunOutput {
  private queue: OutputEntry[] = [];
  private inFlight = 0;
  private bytes = 0;
  /** Monotonic ms since when the log has had no room for what waits here. */
  private stalledSince: number | undefined;
  private stalledBeforeMs = 0;
  private closedBy: Error | undefined;
  private waiters: (() => void)[] = [];

  constructor(
    private readonly facts: FactPort,
    private readonly task: TaskState,
    private readonly owner: OutputOwner,
    private readonly clock: Clock,
  ) {}

  /** Entries that are not durable yet. */
  get pendingEntries(): number {
    return this.queue.length;
  }

  get pendingBytes(): number {
    return this.bytes;
  }

  /** How long the log had no room for this run, so far. It does not count against the attempt's time. */
  get stalledMs(): number {
    return this.stalledBeforeMs + (this.stalledSince === undefined ? 0 : this.clock.monotonic() - this.stalledSince);
  }

  /** Resolves when durable. Safe to ignore. @throws BackpressureError (`run`) at once, when the run is over its bound. */
  add(type: 'progress' | 'custom', body: string): Promise<void> {
    const bytes = Buffer.byteLength(body);
    if (this.queue.length >= MAX_PENDING_ENTRIES || this.bytes + bytes > MAX_PENDING_BYTES)
      throw new BackpressureError('run', RETRY_AFTER_MS);
    if (this.closedBy !== undefined) throw this.closedBy;
    const waiter = new Deferred();
    this.push(type, body, bytes, waiter);
    return waiter.promise;
  }

  /** As `add`, for a generator's pump, which bounds itself by `changed`. */
  addUnwatched(type: 'progress' | 'custom', body: string): void {
    if (this.closedBy === undefined) this.push(type, body, Buffer.byteLength(body), undefined);
  }

  /** Resolves at the next change: entries became durable, the output closed, or somebody called `wake`. */
  changed(): Promise<void> {
    return new Promise((resolve) => this.waiters.push(resolve));
  }

  wake(): void {
    const { waiters } = this;
    this.waiters = [];
    for (const resolve of waiters) resolve();
  }

  /** Resolves when nothing is pending, or nothing will ever be written. */
  async drained(): Promise<void> {
    while (this.queue.length > 0 && this.closedBy === undefined) await this.changed();
  }

  /** Refuses everything that is not durable, and all that comes. */
  close(reason: Error): void {
    if (this.closedBy !== undefined) return;
    this.closedBy = reason;
    const refused = this.queue;
    this.queue = [];
    this.bytes = 0;
    // What is on its way may yet become durable; nobody is told, as nobody may rely on it.
    for (const entry of refused) refuse(entry, reason);
    this.wake();
  }

  private push(type: 'progress' | 'custom', body: string, bytes: number, waiter: Deferred | undefined): void {
    const draft: FactDraft = { type, taskId: this.task.id, body, expect: { fence: this.task.fence, status: RUNNING } };
    this.queue.push({ draft, bytes, waiter });
    this.bytes += bytes;
    this.send();
  }

  private send(): void {
    if (this.inFlight > 0 || this.stalledSince !== undefined || this.queue.length === 0 || this.closedBy !== undefined) return;
    const drafts = this.nextGroup();
    this.inFlight = drafts.length;
    this.facts.append(drafts).then(
      (outcome) => this.answered(outcome),
      (error: unknown) => this.refused(error),
    );
  }

  private nextGroup(): FactDraft[] {
    const drafts: FactDraft[] = [];
    let bytes = 0;
    for (const entry of this.queue) {
      bytes += entry.bytes;
      if (drafts.length === MAX_GROUP_ENTRIES || (drafts.length > 0 && bytes > MAX_GROUP_BYTES)) break;
      drafts.push(entry.draft);
    }
    return drafts;
  }

  private answered(outcome: FactOutcome): void {
    const count = this.inFlight;
    this.inFlight = 0;
    if (this.closedBy !== undefined) return;
    if (outcome.kind !== 'applied') {
      this.owner.fenced();
      return this.close(runIsOver());
    }
    for (const entry of this.queue.splice(0, count)) {
      this.bytes -= entry.bytes;
      entry.waiter?.resolve();
    }
    this.send();
    this.wake();
  }

  private refused(error: unknown): void {
    this.inFlight = 0;
    if (this.closedBy !== undefined) return;
    if (isRefusedForNow(error)) return this.stall();
    if (isFactRefused(error)) this.owner.halted(error);
    else this.owner.failAttempt(error);
    this.close(error instanceof Error ? error : runIsOver());
  }

  private stall(): void {
    this.stalledSince = this.clock.monotonic();
    this.facts.whenAccepting('bulk').then(
      () => {
        this.stalledBeforeMs = this.stalledMs;
        this.stalledSince = undefined;
        this.send();
      },
      (error: unknown) => {
        if (isFactRefused(error)) this.owner.halted(error);
        this.close(error instanceof Error ? error : runIsOver());
      },
    );
  }
}

export const runIsOver = (): ConflictError =>
  new ConflictError(
    'TASK_ENDED',
    'This run is over: it has settled, was abandoned, or another run has taken its place. Nothing was written.',
  );

/** A handler may ignore what `progress` returns; an ignored refusal must not end the process. */
function refuse(entry: OutputEntry, reason: unknown): void {
  if (entry.waiter === undefined) return;
  entry.waiter.promise.catch(() => undefined);
  entry.waiter.reject(reason);
}
