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
  /** Exact: with no other admission in between, one is possible after it and not before. Unit: whole ms. */
  readonly retryAfterMs: number;
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
    const user = userId === null ? undefined : this.users.get(userId);
    const globalMs = this.waitMs(this.all, this.options.maxTasksPerWindow, now);
    const userMs = user === undefined ? 0 : this.waitMs(user.admissions, this.options.maxTasksPerUserWindow, now);
    // Named is the limit that holds longer: a caller who waits as told must not meet the other one.
    if (userMs > globalMs) return { limit: 'user', retryAfterMs: Math.ceil(userMs) };
    if (globalMs > 0) return { limit: 'global', retryAfterMs: Math.ceil(globalMs) };
    return this.take(userId, now);
  }

  /** As if the admission had never been made. Does nothing when it left the window meanwhile, or was given back before. */
  giveBack(ticket: WindowTicket): void {
    if (this.table.serialOf(ticket.row) === ticket.serial) this.drop(ticket.row);
  }

  private waitMs(list: AdmissionList, max: number, now: number): number {
    if (list.count < max) return 0;
    const waitMs = this.table.timeOf(list.head) + this.options.windowSizeMs - now;
    if (waitMs > 0) return waitMs;
    this.drop(list.head);
    return 0;
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
      if (this.table.timeOf(this.all.head) + this.options.windowSizeMs > now) return;
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
