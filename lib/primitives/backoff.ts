export interface BackoffOptions {
  /** Ceiling of the first delay. Unit: ms. */
  readonly initialDelayMs: number;
  /** Ceiling of every delay. Unit: ms. */
  readonly maxDelayMs: number;
  /** Growth of the ceiling from one delay to the next; 1 keeps it. */
  readonly multiplier: number;
  /** Full jitter: each delay is drawn evenly from 0 up to its ceiling, so that many who failed together do not return together. */
  readonly jitter: boolean;
}

/**
 * The delay before the next try. Unit: whole ms.
 * @param failures failures so far; 1 gives the first delay.
 * @param random as `IdSource.random`; asked only when `jitter` is on.
 */
export function backoffMs(options: BackoffOptions, failures: number, random: () => number): number {
  const exponent = Math.max(0, failures - 1);
  // Overflows to Infinity when it grew for long, and the maximum cuts that. 0 × Infinity is the one case without a value.
  const grown = options.initialDelayMs === 0 ? 0 : options.initialDelayMs * options.multiplier ** exponent;
  const ceilingMs = Math.min(grown, options.maxDelayMs);
  return options.jitter ? Math.floor(random() * (ceilingMs + 1)) : Math.floor(ceilingMs);
}
