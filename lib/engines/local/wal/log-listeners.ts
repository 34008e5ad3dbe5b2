import type { Watermark } from '../../../contracts/event-log.interface.js';
import type { EventLogError } from '../../../errors/storage.errors.js';

/** Who holds the log, where, and how long an opening waits at most. */
export interface LockWaitNotice {
  readonly directory: string;
  readonly holder: string;
  readonly timeoutMs: number;
}

type Kind = 'bulk' | 'lifecycle';

/** Who wants to know what. Listeners must not throw. */
export class LogListeners {
  readonly durable: ((watermark: Watermark) => void)[] = [];
  readonly synced: ((elapsedMs: number) => void)[] = [];
  readonly halted: ((error: EventLogError) => void)[] = [];
  readonly lockWait: ((wait: LockWaitNotice) => void)[] = [];
  private waiting: { readonly kind: Kind; readonly callback: () => void }[] = [];
  private hasHalted = false;

  notifyDurable(watermark: Watermark): void {
    for (const listener of this.durable) listener(watermark);
  }
  notifySynced(elapsedMs: number): void {
    for (const listener of this.synced) listener(elapsedMs);
  }
  notifyLockWait(wait: LockWaitNotice): void {
    for (const listener of this.lockWait) listener(wait);
  }
  notifyHalted(error: EventLogError): void {
    if (this.hasHalted) return;
    this.hasHalted = true;
    for (const listener of this.halted) listener(error);
  }

  /** Somebody waits for room. */
  get areWaiting(): boolean {
    return this.waiting.length > 0;
  }

  waitFor(kind: Kind, callback: () => void): void {
    this.waiting.push({ kind, callback });
  }

  /** Calls back who can go on, or never will. In a turn of its own: a waiter may append at once. */
  changed(refusal: (kind: Kind) => EventLogError | undefined): void {
    if (this.waiting.length === 0) return;
    const isOver = (kind: Kind): boolean => refusal(kind)?.state !== 'full';
    const over: Record<Kind, boolean> = { bulk: isOver('bulk'), lifecycle: isOver('lifecycle') };
    const ready = this.waiting.filter(({ kind }) => over[kind]);
    if (ready.length === 0) return;
    this.waiting = this.waiting.filter(({ kind }) => !over[kind]);
    for (const { callback } of ready) queueMicrotask(callback);
  }
}
