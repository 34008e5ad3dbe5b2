import type { Clock, Timer } from '../../../contracts/clock.interface.js';

/** Hands a message to the channel; `done` when the channel has taken it, or never will. */
export type Send<M> = (message: M, done: () => void) => void;

/**
 * IPC queues without bound and without a sign. So one message is on its way at a time, at most one per `gapMs`, and what
 * comes meanwhile is merged into the next.
 */
export class CoalescedSender<M> {
  private waiting: M | undefined;
  private inFlight = false;
  private timer: Timer | undefined;
  private closed = false;
  private drained: (() => void) | undefined;

  constructor(
    private readonly clock: Clock,
    private readonly gapMs: number,
    private readonly send: Send<M>,
    private readonly merge: (earlier: M, later: M) => M,
  ) {}

  offer(message: M): void {
    if (this.closed) return;
    this.waiting = this.waiting === undefined ? message : this.merge(this.waiting, message);
    if (!this.inFlight) this.timer ??= this.clock.after(this.gapMs, this.due);
  }

  /** Sends what waits without waiting longer. Resolves when the channel has taken everything. */
  drain(): Promise<void> {
    return new Promise((resolve) => {
      this.drained = resolve;
      if (!this.inFlight) this.due();
    });
  }

  /** Nothing more is sent. */
  close(): void {
    this.closed = true;
    this.waiting = undefined;
    this.cancelTimer();
  }

  private readonly due = (): void => {
    this.cancelTimer();
    const message = this.waiting;
    if (message === undefined) return this.drained?.();
    this.waiting = undefined;
    this.inFlight = true;
    this.send(message, this.taken);
  };

  private readonly taken = (): void => {
    this.inFlight = false;
    if (this.drained !== undefined) this.due();
    else if (this.waiting !== undefined && !this.closed) this.timer ??= this.clock.after(this.gapMs, this.due);
  };

  private cancelTimer(): void {
    this.timer?.cancel();
    this.timer = undefined;
  }
}
