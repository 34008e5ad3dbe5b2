/** A pending callback. Cancel it where it is owned; cancelling twice is harmless. */
export interface Timer {
  cancel(): void;
}

/** All time enters through here, so that tests move it by hand. */
export interface Clock {
  /** Wall clock, epoch ms. Can jump. */
  now(): number;
  /** Monotonic, ms, from an arbitrary start: for windows, timeouts and backoff. */
  monotonic(): number;
  /** Calls back once after `delayMs`. Never keeps the process alive unless `ref` is true. Delays above 2^31-1 ms are cut to that. */
  after(delayMs: number, callback: () => void, ref?: boolean): Timer;
}

/** Task ids, owner ids and chance, so that tests can repeat a run. */
export interface IdSource {
  /** A UUIDv7, monotonic within the process (RFC 9562 section 6.2). */
  uuid(): string;
  /** As Math.random: 0 ≤ x < 1. */
  random(): number;
}
