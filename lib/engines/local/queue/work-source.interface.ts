import type { EntryAddress } from '../../../contracts/event-log.interface.js';
import type { TaskId } from '../../../contracts/ids.js';
import type { SlotLease, WorkSize } from '../../../contracts/work-feed.interface.js';

/** A task that waits for a slot. `due*`: when it may run. */
export interface WorkItem {
  readonly taskId: TaskId;
  readonly name: string;
  readonly userId: string | null;
  readonly priority: number;
  /** Order within the same priority: creation time; lower first. */
  readonly order: number;
  /** It was created just now: it comes behind all that wait, also those that an earlier clock made younger. */
  readonly isNew?: boolean | undefined;
  /** Wall clock, epoch ms; 0 or past: at once. */
  readonly runAt: number;
  /** Monotonic ms until which a backoff or a delay lasts; 0: none. Both must be over. */
  readonly notBefore: number;
  /** Its last run crashed: at most `recovery.maxConcurrentRecoveries` such runs are in their recovery phase at a time. */
  readonly recovering: boolean;
  /** Crashed twice or more in a row: runs alone among its like, so that a lethal one is found alone. */
  readonly suspect: boolean;
  /** Where its `created` lies in the log, while that is its only entry: then it can be read there, without the database. */
  readonly created?: EntryAddress | undefined;
}

export interface ClaimedWork {
  readonly taskId: TaskId;
  readonly name: string;
  readonly userId: string | null;
  readonly slot: SlotLease;
}

/** What waits on this machine, in the order of fairness; it also hands out free slots. */
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
  readonly size: WorkSize;
  /** A slot for a task that is about to be created, or null: none is free, or waiting work comes first. */
  reserve(name: string, userId: string | null): SlotLease | null;
  /** Tasks that are likely to be claimed next, best effort. */
  peek(limit: number): TaskId[];
  /** Where a waiting task can be read in the log, as it was offered. */
  createdOf(taskId: TaskId): EntryAddress | undefined;
  /** Looks at due times. */
  tick(): void;
}
