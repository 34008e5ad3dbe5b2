import type { Clock } from '../contracts/clock.interface.js';
import { isEndedConnection } from './database-errors.js';

const MAX_TRIES = 3;
/** The pool hears that a connection is gone a moment after the statement that met its end, and would give it out again until then. */
const PAUSE_MS = 20;

/**
 * Reads again on another connection: that the server ended one of the pool is noticed by whoever uses it next. For reads only: a write
 * whose answer was lost may have been made.
 */
export async function retryWhenEnded<T>(clock: Clock, read: () => Promise<T>): Promise<T> {
  for (let tries = 1; ; tries++) {
    try {
      return await read();
    } catch (error) {
      if (!isEndedConnection(error) || tries === MAX_TRIES) throw error;
      await new Promise<void>((resolve) => clock.after(PAUSE_MS, resolve, true));
    }
  }
}
