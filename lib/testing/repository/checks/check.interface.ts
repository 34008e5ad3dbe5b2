import type { Bench } from '../bench.js';

export interface Check {
  /** A promise, as a user would read it. */
  readonly name: string;
  readonly run: (bench: Bench) => Promise<void>;
}
