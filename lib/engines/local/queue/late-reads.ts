import type { Clock } from '../../../contracts/clock.interface.js';
import type { TaskId } from '../../../contracts/ids.js';

/** How long a slot waits for what its task needs of the database: longer than a sound one takes, shorter than others notice. */
const PATIENCE_MS = 250;
const MAX_KEPT = 256;

/**
 * Reads for claimed tasks. A slot does not wait for a database that says nothing: after a moment the task goes back to the queue, the read
 * goes on, and what it found is there when the task is claimed again, so that a slow database holds nobody up for good.
 */
export class LateReads<T> {
  private readonly kept = new Map<TaskId, Promise<T>>();

  constructor(private readonly clock: Clock) {}

  /** What was read; undefined: not yet. @throws what the read was rejected with. */
  async soon(id: TaskId, read: () => Promise<T>): Promise<{ readonly found: T } | undefined> {
    const earlier = this.kept.get(id);
    if (earlier === undefined && this.kept.size >= MAX_KEPT) return undefined;
    const reading = earlier ?? read();
    const isHere = await this.arrives(reading);
    if (isHere) {
      this.kept.delete(id);
      return { found: await reading };
    }
    this.kept.set(id, reading);
    return undefined;
  }

  /** True when it was settled, however, within the patience. */
  arrives(reading: Promise<unknown>): Promise<boolean> {
    return new Promise((resolve) => {
      const timer = this.clock.after(PATIENCE_MS, () => resolve(false), true);
      const settled = (): void => {
        timer.cancel();
        resolve(true);
      };
      reading.then(settled, settled);
    });
  }

  /** The task waits no longer. */
  forget(id: TaskId): void {
    this.kept.delete(id);
  }

  clear(): void {
    this.kept.clear();
  }
}
