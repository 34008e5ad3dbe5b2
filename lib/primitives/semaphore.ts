import { Deferred } from './deferred.js';

/** A held permit. Releasing it twice is harmless: the second time changes nothing. */
export interface Permit {
  release(): void;
}

/** At most `permits` holders at a time; the others wait in the order in which they came. */
export class Semaphore {
  private free: number;
  // Insertion order is the order of arrival, and one that gave up leaves in O(1).
  private readonly waiting = new Set<Deferred<Permit>>();

  constructor(readonly permits: number) {
    if (!Number.isInteger(permits) || permits < 1) throw new RangeError(`A semaphore needs at least 1 permit, not ${permits}.`);
    this.free = permits;
  }

  get available(): number {
    return this.free;
  }

  get waiters(): number {
    return this.waiting.size;
  }

  /** A permit, if one is free now. Whoever waits already goes first. */
  tryAcquire(): Permit | null {
    if (this.free === 0) return null;
    this.free -= 1;
    return this.permit();
  }

  /** Waits for a permit. Rejects with the signal's reason when it aborts first; then nothing is held. */
  async acquire(signal?: AbortSignal): Promise<Permit> {
    signal?.throwIfAborted();
    const free = this.tryAcquire();
    if (free !== null) return free;
    const waiter = new Deferred<Permit>();
    this.waiting.add(waiter);
    const giveUp = (): void => {
      this.waiting.delete(waiter);
      waiter.reject(signal?.reason);
    };
    signal?.addEventListener('abort', giveUp, { once: true });
    try {
      return await waiter.promise;
    } finally {
      signal?.removeEventListener('abort', giveUp);
    }
  }

  /** Runs `work` while holding a permit. */
  async run<T>(work: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    const permit = await this.acquire(signal);
    try {
      return await work();
    } finally {
      permit.release();
    }
  }

  private permit(): Permit {
    let isHeld = true;
    return {
      release: () => {
        if (!isHeld) return;
        isHeld = false;
        this.passOn();
      },
    };
  }

  /** Hands the permit over rather than freeing it, so that no newcomer slips in before the one who waits. */
  private passOn(): void {
    for (const waiter of this.waiting) {
      this.waiting.delete(waiter);
      waiter.resolve(this.permit());
      return;
    }
    this.free += 1;
  }
}
