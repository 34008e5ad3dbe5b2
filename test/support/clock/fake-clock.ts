import type { IdSource } from '../../../lib/contracts/clock.interface.js';
import { ManualClock } from '../../../lib/testing/clock/manual-clock.js';

/** The clock of unit tests: as the testing kit's, but nothing passes by itself. */
export class FakeClock extends ManualClock {
  constructor(wall = 1_700_000_000_000, monotonicStart = 5_000) {
    super(wall, monotonicStart);
  }

  /** Moves both clocks, firing what is due on the way, in order. Does not wait for promises: see `run`. */
  advance(ms: number): void {
    this.move(ms);
  }

  /** As `advance`, but lets promises settle before, after and between timers. */
  run(ms: number): Promise<void> {
    return this.moveSlowly(ms, settle);
  }
}

/** Lets everything that waits for settled promises, and only for them, happen. */
export const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** A repeatable chance (mulberry32). Print the seed of random tests. */
export function seededRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

/** Ids in order, UUIDv7 in shape; chance from a seed. */
export class FakeIdSource implements IdSource {
  private next = 0;
  readonly random: () => number;
  constructor(seed = 1) {
    this.random = seededRandom(seed);
  }
  uuid(): string {
    this.next += 1;
    return `01890000-0000-7000-8000-${this.next.toString(16).padStart(12, '0')}`;
  }
}
