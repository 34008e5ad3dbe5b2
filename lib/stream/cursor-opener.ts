import type { Clock } from '../contracts/clock.interface.js';
import type { TaskState } from '../domain/task-state.js';
import { ShuttingDownError } from '../errors/admission.errors.js';
import { ValidationError } from '../errors/request.errors.js';
import { StreamOverflowError } from '../errors/stream.errors.js';
import type { ChannelRegistry } from './channel-registry.js';
import { StreamCursor } from './stream-cursor.js';
import type { SubscriberQuota } from './subscriber-quota.js';

export interface CursorRequest {
  /** Who listens, for the limits; what may be read was decided before. */
  readonly userId: string | null | undefined;
  /** A position, in the numbers of `byKey`. */
  readonly lastSeq: number;
  /** The stream was asked for by key: then the positions of all tasks of the key follow each other, from `keyBase` of each one on. */
  readonly byKey: boolean;
  readonly heartbeats: boolean;
}

/** @throws ValidationError unless it is 0, 1, 2 … up to 2^53 - 1. */
export function checkLastSeq(lastSeq: number): void {
  if (!Number.isSafeInteger(lastSeq) || lastSeq < 0) throw new ValidationError('lastSeq', 'must be a non-negative safe integer');
}

/** What is added to the seq of the task's events to make the positions of this stream. */
export const baseOf = (task: TaskState, { byKey }: { readonly byKey: boolean }): number => (byKey ? task.keyBase : 0);

/** @throws StreamOverflowError for a position in the stream of an earlier task of the key, as the events that follow there are gone. */
function ownSeq(position: number, base: number): number {
  if (position === 0) return 0;
  if (position < base) throw new StreamOverflowError(position, base + 1);
  return position - base;
}

const WITHOUT_HEARTBEATS = Object.freeze({ heartbeats: false });

/** Makes cursors that are counted, listen already, and stand at a place that exists. */
export class CursorOpener {
  private isStopping = false;

  constructor(
    private readonly channels: ChannelRegistry,
    private readonly quota: SubscriberQuota,
    private readonly clock: Clock,
  ) {}

  stop(): void {
    this.isStopping = true;
  }

  /**
   * @throws ValidationError, SubscriberLimitError, StreamOverflowError, NotFoundError, ShuttingDownError;
   * RepositoryError when it cannot be known what comes next.
   */
  async open(task: TaskState, request: CursorRequest): Promise<StreamCursor> {
    checkLastSeq(request.lastSeq);
    this.assertRunning();
    const base = baseOf(task, request);
    const lastSeq = ownSeq(request.lastSeq, base);
    const lease = this.quota.take(task.id, request.userId);
    try {
      return await this.enter(task, lastSeq, request, base, () => lease.release());
    } catch (error) {
      if (base === 0 || !StreamOverflowError.is(error)) throw error;
      throw new StreamOverflowError(error.requestedSeq + base, error.firstAvailableSeq + base);
    }
  }

  /**
   * One of many tasks that a counted subscriber follows. It holds no page yet: what is wrong with its position, but that it lies beyond
   * the head, its first read tells.
   * @throws ValidationError (`cursors`), SubscriberLimitError, NotFoundError, ShuttingDownError, RepositoryError.
   */
  async openMember(task: TaskState, lastSeq: number): Promise<StreamCursor> {
    this.assertRunning();
    const lease = this.quota.takeTask(task.id);
    const cursor = this.attach(task, lastSeq, WITHOUT_HEARTBEATS, () => lease.release());
    try {
      await cursor.refresh();
      this.requirePlace(cursor, 'cursors', 0);
      return cursor;
    } catch (error) {
      cursor.close();
      throw error;
    }
  }

  /** For those who wait for a result: they are no subscribers, and no limit counts them. */
  openUncounted(task: TaskState, lastSeq: number): Promise<StreamCursor> {
    return this.enter(task, lastSeq, WITHOUT_HEARTBEATS, 0);
  }

  private async enter(
    task: TaskState,
    lastSeq: number,
    options: Pick<CursorRequest, 'heartbeats'>,
    base: number,
    onClose?: () => void,
  ): Promise<StreamCursor> {
    const cursor = this.attach(task, lastSeq, options, onClose);
    try {
      await cursor.refresh();
      this.requirePlace(cursor, 'lastSeq', base);
      await cursor.prime();
      return cursor;
    } catch (error) {
      cursor.close();
      throw error;
    }
  }

  private attach(task: TaskState, lastSeq: number, options: Pick<CursorRequest, 'heartbeats'>, onClose?: () => void): StreamCursor {
    const channel = this.channels.acquire(task);
    return new StreamCursor(channel, lastSeq, this.clock, options, () => {
      this.channels.release(channel);
      onClose?.();
    });
  }

  /**
   * Once the cursor was refreshed: only then is the head trustworthy, because an event committed while the task was looked up was not seen by
   * the channel. Not async, because each run whose result is awaited would pay two promises for it.
   */
  private requirePlace(cursor: StreamCursor, field: string, base: number): void {
    this.assertRunning();
    if (cursor.isAhead) throw new ValidationError(field, `is beyond the last event of the task (${cursor.head + base})`);
  }

  /** @throws ShuttingDownError */
  assertRunning(): void {
    if (this.isStopping) throw new ShuttingDownError();
  }
}
