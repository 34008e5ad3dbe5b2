import type { EntryAddress } from './event-log.interface.js';
import type { TaskId } from './ids.js';

/** A task that waits for a slot. `due*`: when it may run. */
export interface WorkItem {
  readonly taskId: TaskId;
  readonly name: string;
  readonly userId: string | null;
  readonly priority: number;
  /** Order within the same priority: log sequence or creation time; lower first. */
  readonly order: number;
  /** Wall clock, epoch ms; 0 or past: at once. */
  readonly runAt: number;
  /** Monotonic ms until which a backoff lasts; 0: none. Both must be over. */
  readonly notBefore: number;
  /** Its last run crashed: at most `recovery.maxConcurrentRecoveries` such runs are in their recovery phase at a time. */
  readonly recovering: boolean;
  /** Crashed twice or more in a row: runs alone among its like, so that a lethal one is found alone. */
  readonly suspect: boolean;
  /** Where its `created` lies in the log, while that is its only entry: then it can be read there, without the database. */
  readonly created?: EntryAddress | undefined;
}

/** A slot that is held; release it exactly once. */
export interface SlotLease {
  readonly userId: string | null;
  readonly name: string;
  release(): void;
  /**
   * The handler has settled and only its last entry is on its way: the next task may start meanwhile, so that its `start` shares that
   * entry's frame. Harmless when repeated.
   */
  lend(): void;
  /** The entry was refused: the slot is held again, if need be beyond the limit, until it is released. */
  takeBack(): void;
  /** The recovery phase is over (or there is none): the next recovering task may be claimed. Harmless when there was no such phase. */
  recovered(): void;
}

export interface ClaimedWork {
  readonly taskId: TaskId;
  readonly name: string;
  readonly userId: string | null;
  readonly slot: SlotLease;
}

/** Where a queue counts its tasks of each user, so that submits can be asked whether there is room. */
export interface WaitingTally {
  /** @param isUnasked they came to wait without being asked whether there is room. Must be the same when they leave. */
  change(userId: string | null, by: number, isUnasked?: boolean): void;
}
export interface WaitingTallies {
  /** For a slot, now. */
  readonly queued: WaitingTally;
  /** For a time. */
  readonly delayed: WaitingTally;
}

/**
 * What waits, in the order of fairness. The in-memory queue is one adapter; nodes of a cluster claim from the database.
 */
export interface WorkSource {
  offer(item: WorkItem): void;
  /** True when the task waits here, or is claimed and its slot still held. */
  knows(taskId: TaskId): boolean;
  /** Takes a waiting task out (cancelled, pruned). False when it does not wait here. */
  withdraw(taskId: TaskId): boolean;
  /** Up to `limit` tasks whose handler is defined, who are due and for whom a slot was free; their slots are taken. */
  claim(limit: number): ClaimedWork[];
  /**
   * Gives a claimed task back to the head of its lane (its input could not be read just now); one that was offered anew since keeps
   * the place of that offer. The slot must be released by the caller.
   */
  putBack(taskId: TaskId, notBefore: number): void;
  /** Called when something may be claimable that was not: an offer, a release, a due time, a new handler. */
  onWork(listener: () => void): void;
  /** A handler became known: its parked tasks are runnable. */
  define(name: string): void;
  readonly size: { readonly queued: number; readonly delayed: number; readonly parked: number };
}
