import type { IdSource } from '../../../contracts/clock.interface.js';
import { backoffMs } from '../../../primitives/backoff.js';

const FIRST_DELAY_MS = 100;

/** Doubling from 100 ms, between half and full: many processes do not come back at once, and none at once after its failure. */
export function retryDelayMs(failures: number, maxDelayMs: number, ids: Pick<IdSource, 'random'>): number {
  const fullMs = backoffMs({ initialDelayMs: FIRST_DELAY_MS, maxDelayMs, multiplier: 2, jitter: false }, failures, () => ids.random());
  return fullMs * (0.5 + ids.random() / 2);
}
