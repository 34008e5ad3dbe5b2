import type { SlotLease } from '../contracts/work-feed.interface.js';

/** A submit that waits for a slot. */
export interface SlotWaiter {
  readonly name: string;
  readonly userId: string | null;
  granted(lease: SlotLease): void;
}

/** Waiters of one (user, handler) pair: they wait for the same limits, so that looking at the first is looking at all. */
interface WaiterGroup {
  readonly name: string;
  readonly userId: string | null;
  readonly waiters: Set<SlotWaiter>;
}

/** Who waits: first come, first served within a (user, handler) pair; in turns among pairs. */
export class SlotWaiters {
  // The order of a Map is its order of insertion: a pair that was served is inserted again, behind the others.
  private readonly groups = new Map<string, WaiterGroup>();
  private count = 0;

  get size(): number {
    return this.count;
  }

  add(waiter: SlotWaiter): void {
    const key = keyOf(waiter);
    let group = this.groups.get(key);
    if (group === undefined) {
      group = { name: waiter.name, userId: waiter.userId, waiters: new Set() };
      this.groups.set(key, group);
    }
    group.waiters.add(waiter);
    this.count += 1;
  }

  /** False when it does not wait here (any more). */
  remove(waiter: SlotWaiter): boolean {
    const key = keyOf(waiter);
    const group = this.groups.get(key);
    if (group === undefined || !group.waiters.delete(waiter)) return false;
    this.count -= 1;
    if (group.waiters.size === 0) this.groups.delete(key);
    return true;
  }

  /** Takes out the next waiter whose limits have room. Costs one look per waiting pair, not per waiter. */
  takeNext(hasRoom: (name: string, userId: string | null) => boolean): SlotWaiter | undefined {
    for (const [key, group] of this.groups) {
      if (!hasRoom(group.name, group.userId)) continue;
      const [waiter] = group.waiters;
      if (waiter === undefined) continue;
      this.remove(waiter);
      if (group.waiters.size > 0) {
        this.groups.delete(key);
        this.groups.set(key, group);
      }
      return waiter;
    }
    return undefined;
  }
}

// A name holds no line feed, so that no user id can imitate another pair.
const keyOf = ({ name, userId }: { name: string; userId: string | null }): string => (userId === null ? name : `${name}\n${userId}`);
