import type { Clock, Timer } from '../../contracts/clock.interface.js';

interface PendingCall {
  readonly at: number;
  readonly callback: () => void;
  /** It keeps the process alive. */
  readonly ref: boolean;
}

/** Time that stands still until it is moved. Wall clock and monotonic clock move together, and the wall clock can be set. */
export class ManualClock implements Clock {
  private readonly pending = new Set<PendingCall>();
  private elapsedMs = 0;

  /** @param wall what the wall clock shows at first, epoch ms. @param monotonicStart what the monotonic clock shows at first. */
  constructor(
    private wall: number,
    private readonly monotonicStart = 0,
  ) {}

  now(): number {
    return this.wall;
  }
  monotonic(): number {
    return this.monotonicStart + this.elapsedMs;
  }
  after(delayMs: number, callback: () => void, ref = false): Timer {
    const call = { at: this.elapsedMs + Math.max(0, delayMs), callback, ref };
    this.pending.add(call);
    return { cancel: () => void this.pending.delete(call) };
  }

  /** Timers that were not cancelled and did not fire. */
  get timers(): number {
    return this.pending.size;
  }

  /** Those of them that would keep the process alive. */
  get holding(): number {
    return [...this.pending].filter(({ ref }) => ref).length;
  }

  /** The wall clock is set, as by an operator or NTP; the monotonic clock does not notice. */
  jump(ms: number): void {
    this.wall += ms;
  }

  /** Moves both clocks, and fires what is due on the way, in order. */
  protected move(ms: number): void {
    const end = this.elapsedMs + ms;
    while (this.fireNext(end));
    this.moveTo(end);
  }

  /** The same, and waits in between. @param settled called before, between and after the timers. */
  protected async moveSlowly(ms: number, settled: () => Promise<void>): Promise<void> {
    const end = this.elapsedMs + ms;
    do await settled();
    while (this.fireNext(end));
    this.moveTo(end);
    await settled();
  }

  private fire(call: PendingCall): void {
    if (this.pending.delete(call)) call.callback();
  }

  /** @returns false when none is due until then. */
  private fireNext(end: number): boolean {
    let next: PendingCall | undefined;
    for (const call of this.pending) if (call.at <= end && (next === undefined || call.at < next.at)) next = call;
    if (next === undefined) return false;
    this.moveTo(next.at);
    this.fire(next);
    return true;
  }

  private moveTo(elapsedMs: number): void {
    if (elapsedMs <= this.elapsedMs) return;
    this.wall += elapsedMs - this.elapsedMs;
    this.elapsedMs = elapsedMs;
  }
}
