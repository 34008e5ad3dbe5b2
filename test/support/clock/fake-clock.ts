import type { Clock, IdSource, Timer } from '../../../lib/contracts/clock.interface.js';

interface Pending {
  readonly at: number;
  readonly callback: () => void;
  /** It keeps the process alive. */
  readonly ref: boolean;
}

/** Time that stands still until it is moved by hand. Wall clock and monotonic clock move together, and the wall clock can jump. */
export class FakeClock implements Clock {
  private readonly pending = new Set<Pending>();
  private elapsedMs = 0;

  constructor(
    private wall = 1_700_000_000_000,
    private readonly monotonicStart = 5_000,
  ) {}

  now(): number {
    return this.wall;
  }
  monotonic(): number {
    return this.monotonicStart + this.elapsedMs;
  }
  after(delayMs: number, callback: () => void, ref = false): Timer {
    const entry = { at: this.elapsedMs + Math.max(0, delayMs), callback, ref };
    this.pending.add(entry);
    return { cancel: () => void this.pending.delete(entry) };
  }

  /** Timers that were not cancelled and did not fire. */
  get timers(): number {
    return this.pending.size;
  }

  /** Those of them that would keep the process alive. */
  get holding(): number {
    return [...this.pending].filter(({ ref }) => ref).length;
  }

  /** Moves both clocks, firing what is due on the way, in order. Does not wait for promises: see `run`. */
  advance(ms: number): void {
    const end = this.elapsedMs + ms;
    for (let next = this.nextUntil(end); next !== undefined; next = this.nextUntil(end)) {
      this.moveTo(next.at);
      this.pending.delete(next);
      next.callback();
    }
    this.moveTo(end);
  }

  /** As `advance`, but lets promises settle before, after and between timers. */
  async run(ms: number): Promise<void> {
    const end = this.elapsedMs + ms;
    await settle();
    for (let next = this.nextUntil(end); next !== undefined; next = this.nextUntil(end)) {
      this.moveTo(next.at);
      this.pending.delete(next);
      next.callback();
      await settle();
    }
    this.moveTo(end);
    await settle();
  }

  /** The wall clock is set, as by an operator or NTP; the monotonic clock does not notice. */
  jump(ms: number): void {
    this.wall += ms;
  }

  private moveTo(elapsedMs: number): void {
    if (elapsedMs <= this.elapsedMs) return;
    this.wall += elapsedMs - this.elapsedMs;
    this.elapsedMs = elapsedMs;
  }

  private nextUntil(end: number): Pending | undefined {
    let next: Pending | undefined;
    for (const entry of this.pending) if (entry.at <= end && (next === undefined || entry.at < next.at)) next = entry;
    return next;
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
