import type { WaitingTally } from '../contracts/waiting-tally.interface.js';

/** What a bound allows. */
export interface WaitingBound {
  /** Tasks of all users together. */
  readonly max: number;
  /** Tasks of one user; tasks without a user are held by `max` only. */
  readonly maxPerUser: number;
}

/**
 * How many tasks wait for one thing, in all and of each user. Some come to wait without being asked whether there is room: those whose
 * time has come, retried and recovered ones. Of these one user's count in all only up to his bound, and so do those without a user: a
 * thousand alarms of one user must not refuse the submits of everybody else.
 */
export class WaitingCount implements WaitingTally {
  /** Tasks of each user, and under null those without a user that nobody asked for. Bounded by the tasks that wait. */
  private readonly users = new Map<string | null, number>();
  private all = 0;

  constructor(readonly bound: WaitingBound) {}

  /** `by` more tasks of this user wait, or fewer. */
  change(userId: string | null, by: number, isUnasked = false): void {
    if (userId === null && !isUnasked) {
      this.all += by;
      return;
    }
    const { maxPerUser } = this.bound;
    const before = this.users.get(userId) ?? 0;
    const after = before + by;
    if (after === 0) this.users.delete(userId);
    else this.users.set(userId, after);
    // Invariant: a user is part of `all` with his tasks, and with his bound where he has more.
    this.all += Math.min(after, maxPerUser) - Math.min(before, maxPerUser);
  }

  /**
   * How many tasks must leave before `more` of this user may wait; 0: there is room. Infinity: so many never may, together.
   * @param moreInAll with those of other users that are to be taken in together with them.
   */
  excess(userId: string | null, more: number, moreInAll = more): number {
    const { max, maxPerUser } = this.bound;
    // A single one can also find that it need not wait.
    if (moreInAll > Math.max(1, max) || (userId !== null && more > maxPerUser)) return Infinity;
    const own = userId === null ? 0 : (this.users.get(userId) ?? 0) + more - maxPerUser;
    return Math.max(0, own, this.all + moreInAll - max);
  }
}
