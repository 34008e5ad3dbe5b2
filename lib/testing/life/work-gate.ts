import type { Clock } from '../../contracts/clock.interface.js';
import type { WorkSize } from '../../contracts/work-feed.interface.js';

/** What the gate has to know of what waits: a part of the engine's own port. */
interface Waiting {
  readonly size: WorkSize;
  offer(item: { readonly runAt: number; readonly notBefore: number }): void;
  putBack(taskId: string, notBefore: number): void;
  claim(limit: number): { readonly taskId: string }[];
  onWork(listener: () => void): void;
  reserve(name: string, userId: string | null): unknown;
  tick(): void;
}

/** Before the work of one life: nothing starts unless it is let through. Times are kept exactly, not at the next tick. */
export class WorkGate {
  private readonly listeners: (() => void)[] = [];
  private source: Waiting | undefined;
  private permits = 0;

  /** @param isOpen whether everything that is runnable may start. */
  constructor(
    private readonly clock: Clock,
    private readonly isOpen: () => boolean,
  ) {}

  /** The engine's source of work, with the gate before it. */
  before<T extends object>(source: T): T {
    const inner = source as unknown as Waiting;
    this.source = inner;
    const gated: Partial<Waiting> = {
      offer: (item) => {
        inner.offer(item);
        this.tickAt(item.runAt - this.clock.now());
        this.tickAt(item.notBefore - this.clock.monotonic());
      },
      putBack: (taskId, notBefore) => {
        inner.putBack(taskId as never, notBefore);
        this.tickAt(notBefore - this.clock.monotonic());
      },
      claim: (limit) => this.claim(inner, limit),
      onWork: (listener) => {
        this.listeners.push(listener);
        inner.onWork(listener);
      },
      // A task that is held back is created without its start.
      reserve: (name, userId) => (this.isOpen() ? inner.reserve(name, userId) : null),
    };
    return new Proxy(source, {
      get: (target, member) => {
        if (Object.hasOwn(gated, member)) return gated[member as keyof Waiting];
        const value: unknown = Reflect.get(target, member, target);
        return typeof value === 'function' ? value.bind(target) : value;
      },
    });
  }

  /** Waiting for a slot, due by now. */
  get queued(): number {
    return this.source?.size.queued ?? 0;
  }

  /** Looks at due times, and has the engine look for work. */
  look(): void {
    this.source?.tick();
    for (const listener of this.listeners) listener();
  }

  /** Lets one task through, once. */
  permitOne(): void {
    this.permits = 1;
    this.look();
  }

  /** @returns true when the task that `permitOne` let through was not there. */
  revoke(): boolean {
    const isUnused = this.permits > 0;
    this.permits = 0;
    return isUnused;
  }

  private claim(inner: Waiting, limit: number): { readonly taskId: string }[] {
    if (this.isOpen()) return inner.claim(limit);
    if (this.permits === 0) return [];
    const claimed = inner.claim(1);
    this.permits -= claimed.length;
    return claimed;
  }

  private tickAt(inMs: number): void {
    // Due means past: a moment later.
    if (inMs > 0) this.clock.after(inMs, () => this.source?.tick());
  }
}
