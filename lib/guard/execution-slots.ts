import type { Clock } from '../contracts/clock.interface.js';
import type { SlotLease } from '../contracts/work-feed.interface.js';
import { SlotTimeoutError } from '../errors/admission.errors.js';
import { Deferred } from '../primitives/deferred.js';
import { ReleasePace } from './release-pace.js';
import { SlotWaiters } from './slot-waiters.js';

export interface SlotOptions {
  /** Runs at once, all users together. */
  readonly maxExecutionGlobal: number;
  /** Runs at once of one user; tasks without a user are held by the other limits only. */
  readonly maxExecutionPerUser: number;
  /** How long `acquire` waits. Unit: ms. */
  readonly slotTimeoutMs: number;
}

/** The queue, as the slots see it. */
export interface SlotContender {
  /** A slot came free, or a limit was raised: lanes that stood at that limit may return. No claim may be made in here. */
  released(name: string, userId: string | null): void;
  /** True when queued work would take a free slot now. */
  isClaimable(): boolean;
  /** The slots are as they will be: claim. */
  notify(): void;
}

/**
 * The permits to run: global, per user, per handler name. A free slot is contended for by queued tasks and by submits that wait for
 * one (`acquire`); while both could use it they take turns, so that neither a backlog nor a crowd of waiters starves the other.
 */
export class ExecutionSlots {
  readonly pace: ReleasePace;
  private readonly perUser = new Map<string, number>();
  private readonly perHandler = new Map<string, number>();
  private readonly handlerLimits = new Map<string, number>();
  private readonly waiters = new SlotWaiters();
  private contender: SlotContender | undefined;
  private isWaitersTurn = true;
  private used = 0;

  /** @param timedOut told each time a waiter gave up. */
  constructor(
    private readonly options: SlotOptions,
    private readonly clock: Clock,
    private readonly timedOut: () => void = () => undefined,
  ) {
    this.pace = new ReleasePace(clock);
  }

  get inUse(): number {
    return this.used;
  }

  get waiting(): number {
    return this.waiters.size;
  }

  /** At most `max` runs of this handler at once, in all; undefined: no limit of its own. Runs that are under way go on. */
  limitHandler(name: string, max: number | undefined): void {
    if (max === undefined) this.handlerLimits.delete(name);
    else this.handlerLimits.set(name, max);
    this.roomMade(name, null);
  }

  /** Links the queue that shares these slots. */
  contend(contender: SlotContender): void {
    this.contender = contender;
  }

  freeGlobal(): number {
    return this.options.maxExecutionGlobal - this.used;
  }

  freeForUser(userId: string | null): number {
    return userId === null ? Infinity : this.options.maxExecutionPerUser - (this.perUser.get(userId) ?? 0);
  }

  freeForHandler(name: string): number {
    const limit = this.handlerLimits.get(name);
    return limit === undefined ? Infinity : limit - (this.perHandler.get(name) ?? 0);
  }

  hasRoom(name: string, userId: string | null): boolean {
    return this.freeGlobal() > 0 && this.freeForUser(userId) > 0 && this.freeForHandler(name) > 0;
  }

  /** A slot at once, or null. For the queue, which knows whose turn it is; others ask `FairQueue.reserve`. */
  tryAcquire(name: string, userId: string | null): SlotLease | null {
    if (!this.hasRoom(name, userId)) return null;
    this.isWaitersTurn = true;
    return this.take(name, userId);
  }

  /**
   * Waits for a slot, for at most `slotTimeoutMs`. First come, first served within a (user, handler) pair.
   * @throws SlotTimeoutError when none came free; the signal's reason when it aborts. Then nothing is held.
   */
  async acquire(name: string, userId: string | null, signal?: AbortSignal): Promise<SlotLease> {
    signal?.throwIfAborted();
    const settled = new Deferred<SlotLease>();
    const waiter = { name, userId, granted: settled.resolve };
    this.waiters.add(waiter);
    this.serveWaiters();
    // `remove` returns false if the waiter was granted its slot in this turn, so a grant and a timeout cannot both win.
    const aborted = (): void => void (this.waiters.remove(waiter) && settled.reject(signal?.reason));
    const timer = this.clock.after(
      this.options.slotTimeoutMs,
      () => {
        if (this.waiters.remove(waiter)) settled.reject(this.timeoutError());
      },
      true,
    );
    signal?.addEventListener('abort', aborted, { once: true });
    try {
      return await settled.promise;
    } finally {
      timer.cancel();
      signal?.removeEventListener('abort', aborted);
    }
  }

  /** Gives waiters the free slots that are theirs. The queue calls it when it has claimed what it can. */
  serveWaiters(): void {
    if (this.waiters.size === 0) return;
    const hasRoom = (name: string, userId: string | null): boolean => this.hasRoom(name, userId);
    while (this.freeGlobal() > 0) {
      if (!this.isWaitersTurn && this.contender?.isClaimable() === true) return;
      const waiter = this.waiters.takeNext(hasRoom);
      if (waiter === undefined) return;
      this.isWaitersTurn = false;
      waiter.granted(this.take(waiter.name, waiter.userId));
    }
  }

  private timeoutError(): SlotTimeoutError {
    this.timedOut();
    const { slotTimeoutMs } = this.options;
    return new SlotTimeoutError(slotTimeoutMs, this.pace.estimateMs(this.waiters.size + 1));
  }

  private take(name: string, userId: string | null): SlotLease {
    this.count(name, userId);
    return new ExecutionSlot(name, userId, this.release, this.count);
  }

  private readonly count = (name: string, userId: string | null): void => {
    this.used += 1;
    this.perHandler.set(name, (this.perHandler.get(name) ?? 0) + 1);
    if (userId !== null) this.perUser.set(userId, (this.perUser.get(userId) ?? 0) + 1);
  };

  private readonly release = (name: string, userId: string | null): void => {
    this.used -= 1;
    decrement(this.perHandler, name);
    if (userId !== null) decrement(this.perUser, userId);
    this.pace.released();
    this.roomMade(name, userId);
  };

  private roomMade(name: string, userId: string | null): void {
    this.contender?.released(name, userId);
    this.serveWaiters();
    this.contender?.notify();
  }
}

/** Names and users without a run are forgotten: both maps are bounded by the slots in use. */
function decrement(counts: Map<string, number>, key: string): void {
  const count = counts.get(key) ?? 0;
  if (count > 1) counts.set(key, count - 1);
  else counts.delete(key);
}

class ExecutionSlot implements SlotLease {
  private isHeld = true;
  private isLent = false;
  constructor(
    readonly name: string,
    readonly userId: string | null,
    private readonly freed: (name: string, userId: string | null) => void,
    private readonly taken: (name: string, userId: string | null) => void,
  ) {}

  release(): void {
    if (!this.isHeld) return; // a second release would free somebody else's slot
    this.isHeld = false;
    if (!this.isLent) this.freed(this.name, this.userId);
  }

  lend(): void {
    if (!this.isHeld || this.isLent) return;
    this.isLent = true;
    this.freed(this.name, this.userId);
  }

  takeBack(): void {
    if (!this.isHeld || !this.isLent) return;
    this.isLent = false;
    this.taken(this.name, this.userId);
  }

  recovered(): void {
    // Taken outside the queue: there was no recovery phase.
  }
}
