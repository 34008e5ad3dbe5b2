import { EventLogError } from '../../../errors/storage.errors.js';
import type { HeldLock } from './log-lock.js';

/** Runs work on the folder's files that only the holder of the lock may do. */
export type WhileHeld = <T>(work: () => Promise<T>) => Promise<T>;

/** The time in which this process may change files of the log's folder. Its end waits for changes under way, and lets no other begin. */
export class LogTenure {
  private isOver = false;
  private readonly underWay = new Set<Promise<unknown>>();

  constructor(private readonly lock: HeldLock) {}

  /** @throws EventLogError when the log is closed, or its lock was removed: nothing was changed then. */
  readonly run: WhileHeld = async (work) => {
    await this.lock.requireHeld();
    if (this.isOver) throw new EventLogError('closed', 'none', 'The event log is closed: another process may hold it by now.');
    const change = work();
    this.underWay.add(change);
    try {
      return await change;
    } finally {
      this.underWay.delete(change);
    }
  };

  async end(): Promise<void> {
    this.isOver = true;
    await Promise.allSettled(this.underWay);
  }
}
