import type { Clock } from '../contracts/clock.interface.js';
import { AdmissionList, AdmissionTable, NIL } from './admission-table.js';

export interface WindowOptions {
  /** Admissions in any window, all users together. */
  readonly maxTasksPerWindow: number;
  /** Admissions in any window for one user. */
  readonly maxTasksPerUserWindow: number;
  /** Unit: ms. */
  readonly windowSizeMs: number;
}

export interface WindowRefusal {
  readonly limit: 'global' | 'user';
  /**
   * Exact: with no other admission in between, what was refused is possible after it and not before. Unit: whole ms. Undefined: never,
   * as more was asked for at once than the window holds.
   */
  readonly retryAfterMs: number | undefined;
}

/** What an admission took, to be given back when nothing came of it. */
export interface WindowTicket {
  readonly row: number;
  readonly serial: number;
}

class UserWindow {
  readonly admissions = new AdmissionList(1);
  constructor(readonly userId: string) {}
}

/** Rows that left the window are dropped this many at a time, so that no single submit pays for an hour of silence. */
const SWEPT_PER_ADMISSION = 4;

/**
 * Exact sliding windows: the last `maxTasksPerWindow` admissions in order of time, each also in the order of its user. Only the
 * oldest one decides: while it is inside the window, so are all the others, and the window is full.
 * Every operation is O(1), also taking an admission out of the middle. Memory: 40 bytes an admission, plus one record for each
 * user with an admission in the table, who goes when the last of them does.
 */
export class SlidingWindows {
  private readonly table: AdmissionTable;
  private readonly all = new AdmissionList(0);
  private readonly users = new Map<string, UserWindow>();
  /** The user window of each row, by row. */
  private readonly owners: (UserWindow | null)[] = [];

  constructor(
    private readonly options: WindowOptions,
    private readonly clock: Clock,
  ) {
    this.table = new AdmissionTable(options.maxTasksPerWindow);
  }

  /** Users that are remembered. */
  get userCount(): number {
    return this.users.size;
  }

  /** Counts an admission in both windows, or in none. `userId` null: the global window only. */
  admit(userId: string | null): WindowTicket | WindowRefusal {
    const now = this.clock.monotonic();
    this.sweep(now);
    const globalMs = this.waitMs(this.all, this.options.maxTasksPerWindow, now, 1);
    const userMs = userId === null ? 0 : this.userWaitMs(userId, now, 1);
    if (userMs > 0 || globalMs > 0) return refusalOf(userMs, globalMs);
    return this.take(userId, now);
  }

  /** Counts all of them, or none. @returns a ticket for each, in order. */
  admitMany(userIds: readonly (string | null)[]): WindowTicket[] | WindowRefusal {
    const now = this.clock.monotonic();
    const perUser = new Map<string, number>();
    for (const userId of userIds) if (userId !== null) perUser.set(userId, (perUser.get(userId) ?? 0) + 1);
    const globalMs = this.waitMs(this.all, this.options.maxTasksPerWindow, now, userIds.length);
    let userMs = 0;
    for (const [userId, more] of perUser) userMs = Math.max(userMs, this.userWaitMs(userId, now, more));
    if (userMs > 0 || globalMs > 0) return refusalOf(userMs, globalMs);
    return userIds.map((userId) => this.take(userId, now));
  }

  /** As if the admission had never been made. Does nothing when it left the window meanwhile, or was given back before. */
  giveBack(ticket: WindowTicket): void {
    if (this.table.serialOf(ticket.row) === ticket.serial) this.drop(ticket.row);
  }

  private userWaitMs(userId: string, now: number, more: number): number {
    const max = this.options.maxTasksPerUserWindow;
    const user = this.users.get(userId);
    if (user === undefined) return more > max ? Infinity : 0;
    return this.waitMs(user.admissions, max, now, more);
  }

  /** Until `more` admissions fit at once; 0: they do. */
  private waitMs(list: AdmissionList, max: number, now: number, more: number): number {
    if (more > max) return Infinity;
    while (list.count + more > max && this.leavesInMs(list.head, now) <= 0) this.drop(list.head);
    let tooMany = list.count + more - max;
    if (tooMany <= 0) return 0;
    let last = list.head;
    while ((tooMany -= 1) > 0) last = this.table.after(list, last);
    return this.leavesInMs(last, now);
  }

  private leavesInMs(row: number, now: number): number {
    return this.table.timeOf(row) + this.options.windowSizeMs - now;
  }

  private take(userId: string | null, now: number): WindowTicket {
    // Looked up again: the user's last admission may just have left, and its record with it.
    const user = userId === null ? null : this.userWindow(userId);
    const row = this.table.add(now);
    this.table.append(this.all, row);
    if (user !== null) this.table.append(user.admissions, row);
    this.owners[row] = user;
    return { row, serial: this.table.serialOf(row) };
  }

  private userWindow(userId: string): UserWindow {
    let user = this.users.get(userId);
    if (user === undefined) this.users.set(userId, (user = new UserWindow(userId)));
    return user;
  }

  private sweep(now: number): void {
    for (let swept = 0; swept < SWEPT_PER_ADMISSION && this.all.head !== NIL; swept += 1) {
      if (this.leavesInMs(this.all.head, now) > 0) return;
      this.drop(this.all.head);
    }
  }

  private drop(row: number): void {
    this.table.unlink(this.all, row);
    const user = this.owners[row];
    if (user != null) {
      this.table.unlink(user.admissions, row);
      if (user.admissions.count === 0) this.users.delete(user.userId);
      this.owners[row] = null;
    }
    this.table.release(row);
  }
}

/** Named is the limit that holds longer: a caller who waits as told must not meet the other one. */
function refusalOf(userMs: number, globalMs: number): WindowRefusal {
  const longer = Math.max(userMs, globalMs);
  return { limit: userMs > globalMs ? 'user' : 'global', retryAfterMs: longer === Infinity ? undefined : Math.ceil(longer) };
}
