import type { Clock } from '../../../contracts/clock.interface.js';
import type { EventLogState, FrameSink, LogGroup } from '../../../contracts/event-log.interface.js';
import { isBulk as isBulkType } from '../../../domain/entry-types.js';
import { EventLogError, EventLogFullError } from '../../../errors/storage.errors.js';
import { type Batch, CommitQueue } from './commit-queue.js';
import { messageOf } from './disk-error.js';
import { type BuiltFrame, FrameBuilder, type FrameStamp } from './frame-builder.js';
import type { HeldLock } from './log-lock.js';
import type { SegmentWriter } from './segment-writer.js';
import type { SpaceWatch } from './space-watch.js';
import { failpoint } from '../../../primitives/failpoint.js';
import { outsideRequests } from '../../../primitives/async-context.js';

/** Appends that wait; with a disk this slow, new work is better refused. */
const MAX_PENDING_BYTES = 256 * 1024 * 1024;

export interface CommitterHooks {
  /** After a frame is durable and the sink has it. */
  durable(): void;
  synced(elapsedMs: number): void;
  /** What is accepted may have changed. */
  changed(): void;
  halted(error: EventLogError): void;
}

/**
 * Group commit: one write and one sync in flight, everything that arrives meanwhile is the next frame. No timer. Numbers and
 * time are given when the frame is formed, and count only once it is synced.
 */
export class GroupCommitter<G extends LogGroup> {
  private readonly queue = new CommitQueue<G>();
  private readonly builder = new FrameBuilder();
  private isRunning = false;
  private isClosing = false;
  private failure: EventLogError | undefined;
  private readonly idle: (() => void)[] = [];

  constructor(
    private readonly writer: SegmentWriter,
    private readonly space: SpaceWatch,
    private readonly lock: HeldLock,
    private readonly clock: Clock,
    private readonly owner: string,
    private readonly sink: FrameSink<G>,
    private readonly hooks: CommitterHooks,
  ) {}

  get state(): EventLogState {
    if (this.failure !== undefined) return 'failed';
    if (this.isClosing) return 'closed';
    return this.space.refusal('bulk') === undefined ? 'open' : 'full';
  }

  refusal(kind: 'bulk' | 'lifecycle'): EventLogError | undefined {
    if (this.failure !== undefined) return this.failure;
    if (this.isClosing) return new EventLogError('closed', 'none', 'The event log is closed.');
    if (kind === 'bulk' && this.queue.pendingBytes > MAX_PENDING_BYTES)
      return new EventLogFullError('The disk does not keep up with the event log.', 1000);
    return this.space.refusal(kind);
  }

  append(group: G): void {
    const refusal = this.refusal(kindOf(group));
    if (refusal !== undefined) throw refusal;
    this.queue.push(group);
    this.wake();
  }

  withdraw(match: (group: G) => boolean): G[] {
    return this.queue.withdraw(match);
  }

  /** Rotates an old file, and looks after the lock, also when nothing is appended. */
  wake(): void {
    if (this.isRunning || this.failure !== undefined) return;
    this.isRunning = true;
    // Not at once: whatever else is appended in this turn belongs into the same frame.
    outsideRequests(setImmediate, this.turn);
  }

  /** Takes nothing more; resolves when all that waited is durable or refused. */
  async drain(): Promise<void> {
    this.isClosing = true;
    if (this.isRunning) await new Promise<void>((resolve) => void this.idle.push(resolve));
  }

  /** Any error in here fails the log as a failed disk does, because appenders would wait for ever if their promises were left unsettled. */
  private readonly turn = (): void => {
    this.commit().then(this.next, (error: unknown) => {
      this.fail(error, []);
      this.next();
    });
  };

  private readonly next = (): void => {
    if (!this.queue.isEmpty && this.failure === undefined) {
      outsideRequests(setImmediate, this.turn);
      return;
    }
    this.isRunning = false;
    for (const resolve of this.idle.splice(0)) resolve();
  };

  private async commit(): Promise<void> {
    if (this.queue.isEmpty) {
      await this.lock.requireHeld();
      if (!this.isClosing && this.writer.isDue(0)) await this.rotate([]);
      return;
    }
    const batch = this.queue.take();
    if (this.writer.isDue(batch.bytesAtMost) && !(await this.rotate(batch.groups))) return;
    await this.commitFrame(batch);
  }

  private async rotate(waiting: G[]): Promise<boolean> {
    try {
      await this.writer.rotate();
      return true;
    } catch (error) {
      if (error instanceof EventLogFullError) this.refuseAll(waiting, error);
      else this.fail(error, [], waiting);
      return false;
    }
  }

  private async commitFrame(batch: Batch<G>): Promise<void> {
    const { segment } = this.writer;
    const at = this.clock.now();
    const stamp = {
      gen: segment.gen,
      firstSeq: segment.lastSeq + 1,
      at,
      owner: this.owner,
      prev: segment.chain,
      salt: segment.salt,
      position: segment.sizeBytes,
    };
    const frame = this.build(batch, stamp);
    if (frame === undefined) return;
    let startedAt: number;
    try {
      await this.writer.write(frame.bytes);
      failpoint('commit.after-write');
      startedAt = this.clock.monotonic();
      await this.writer.sync();
    } catch (error) {
      if (error instanceof EventLogFullError) this.refuseAll(batch.groups, error);
      else this.fail(error, batch.groups);
      return;
    }
    failpoint('commit.after-sync');
    const elapsedMs = this.clock.monotonic() - startedAt;
    const bytes = frame.bytes.length;
    this.writer.advance(frame);
    this.space.wrote(bytes);
    const { firstSeq, lastSeq, offsets, lengths } = frame;
    this.sink.committed({ groups: batch.groups, firstSeq, lastSeq, at, segment: segment.first, offsets, lengths, bytes });
    this.hooks.synced(elapsedMs);
    this.hooks.durable();
    this.hooks.changed(); // less is pending
  }

  /** Undefined: not even memory was to be had for it. Nothing was written, and whoever waits is told so. */
  private build(batch: Batch<G>, stamp: FrameStamp): BuiltFrame | undefined {
    try {
      return this.builder.build(batch.groups, batch.bytesAtMost, stamp);
    } catch (error) {
      this.fail(error, [], batch.groups);
      return undefined;
    }
  }

  /** No room: what is in the frame was taken back, and what waits behind it would fare no better. */
  private refuseAll(groups: G[], error: EventLogFullError): void {
    this.space.exhausted();
    if (groups.length > 0) this.sink.refused(groups, error);
    const waiting = this.queue.withdraw(() => true);
    if (waiting.length > 0) this.sink.refused(waiting, error);
    this.hooks.changed();
  }

  /** For the life of the process. `inFlight` may or may not be found at the next start; `unwritten` and what waits will not. */
  private fail(cause: unknown, inFlight: G[], unwritten: G[] = []): void {
    if (this.failure !== undefined) return;
    const why = `The event log failed and takes nothing more until the process restarts: ${messageOf(cause)}`;
    this.failure = new EventLogError('failed', 'none', why, { cause });
    this.space.stop();
    if (inFlight.length > 0) this.sink.refused(inFlight, new EventLogError('failed', 'unknown', why, { cause }));
    const waiting = [...unwritten, ...this.queue.withdraw(() => true)];
    if (waiting.length > 0) this.sink.refused(waiting, this.failure);
    this.hooks.changed();
    this.hooks.halted(this.failure);
  }
}

/** A group with a `created` counts as that: refused early, whatever else is in it. */
function kindOf(group: LogGroup): 'bulk' | 'lifecycle' {
  let isBulk = true;
  for (const draft of group.drafts) {
    if (draft.type === 'created') return 'bulk';
    isBulk &&= isBulkType(draft.type);
  }
  return isBulk ? 'bulk' : 'lifecycle';
}
