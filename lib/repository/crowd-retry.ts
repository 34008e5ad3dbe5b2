import type { Clock } from '../contracts/clock.interface.js';
import { isTooManyConnections } from './database-errors.js';

const PAUSE_MS = 50;

/**
 * Tries again while the server has no connection left for this role: one of ours may come free at any moment, and a pool hands it over
 * only to those who ask then.
 */
export async function retryWhileCrowded<T>(clock: Clock, limitMs: number, attempt: () => Promise<T>): Promise<T> {
  const startedAt = clock.monotonic();
  for (;;) {
    try {
      return await attempt();
    } catch (error) {
      if (!isTooManyConnections(error) || clock.monotonic() - startedAt >= limitMs) throw error;
      await new Promise<void>((resolve) => clock.after(PAUSE_MS, resolve, true));
    }
  }
}
