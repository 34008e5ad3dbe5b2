const FIRST_MS = 1_000;
const MAX_MS = 30_000;
/** The longest delay that a timer takes. */
export const MAX_TIMER_MS = 2 ** 31 - 1;

/**
 * Backoff with full jitter, so that the clients of a server that comes back do not come all at once, on top of what the server asks for.
 * @param failures connections in a row that brought nothing. @param atLeastMs by `retry:` or `Retry-After`.
 */
export const retryDelay = (failures: number, atLeastMs: number, random: () => number): number =>
  Math.min(MAX_TIMER_MS, atLeastMs + Math.round(random() * Math.min(MAX_MS, FIRST_MS * 2 ** failures)));

/** `Retry-After` is a number of seconds, or a date (RFC 9110 section 10.2.3). 0 for anything else. */
export function retryAfterMs(value: string | null, now: number): number {
  if (value === null) return 0;
  const ms = /^\d+$/.test(value.trim()) ? Number(value) * 1_000 : Date.parse(value) - now;
  return ms > 0 ? ms : 0;
}
