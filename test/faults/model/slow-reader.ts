import type { StoredEvent, TaskEvent } from '../../../lib/contracts/task-event.interface.js';
import { isTerminal } from '../../../lib/domain/entry-types.js';
import type { Known } from './account.js';

/** A subscriber that reads when it likes. However long it waited: the next event is the one after its last. */
export class SlowReader {
  private lastSeq = 0;
  private hasSeenEnd = false;
  /** Its stream ended with an error: nothing more comes. */
  isCut = false;
  private pending: Promise<IteratorResult<TaskEvent>> | undefined;

  constructor(
    readonly known: Known,
    private readonly iterator: AsyncIterator<TaskEvent>,
    private readonly tell: { shown(event: TaskEvent): void; broke(how: string): void },
  ) {}

  /**
   * Reads up to `head`.
   * @param arrives whether what is asked for comes in time.
   * @returns how many events it took; undefined: it waits, or was cut.
   */
  async readTo(head: number, arrives: (pending: Promise<unknown>) => Promise<boolean>): Promise<number | undefined> {
    for (let taken = 0; ;) {
      if (this.lastSeq >= head) return taken;
      this.pending ??= this.iterator.next();
      if (!(await arrives(this.pending))) return undefined;
      const next = await this.pending.catch(() => undefined);
      this.pending = undefined;
      this.isCut ||= next === undefined;
      if (next === undefined) return undefined;
      if (next.done === true) {
        if (!this.hasSeenEnd) this.tell.broke(`${this.known.id}: a stream ended after ${this.lastSeq}, which is no end`);
        return taken;
      }
      if (this.take(next.value)) taken++;
    }
  }

  private take(event: TaskEvent): boolean {
    const { seq } = event as Partial<StoredEvent>;
    if (seq === undefined) return false;
    if (seq !== this.lastSeq + 1) this.tell.broke(`${this.known.id}: after ${this.lastSeq} a slow reader got ${seq}`);
    this.tell.shown(event);
    this.lastSeq = seq;
    this.hasSeenEnd = isTerminal(event.type);
    return true;
  }
}
