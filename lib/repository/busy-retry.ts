import type { Clock } from '../contracts/clock.interface.js';
import { isBusy } from './database-errors.js';

const BUSY_LIMIT_MS = 2_000;
const FIRST_PAUSE_MS = 5;
const LONGEST_PAUSE_MS = 100;

/** Tries again while another connection holds the lock. It waits here, since a wait inside SQLite holds one of libuv's threads. */
export async function retryWhileBusy<T>(clock: Clock, attempt: () => Promise<T>): Promise<T> {
  const startedAt = clock.monotonic();
  for (let pauseMs = FIRST_PAUSE_MS; ; pauseMs = Math.min(pauseMs * 2, LONGEST_PAUSE_MS)) {
    try {
      return await attempt();
    } catch (error) {
      if (!isBusy(error) || clock.monotonic() - startedAt >= BUSY_LIMIT_MS) throw error;
      await new Promise<void>((resolve) => clock.after(pauseMs, resolve, true));
    }
  }
}
