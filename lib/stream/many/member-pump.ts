import type { Clock, Timer } from '../../contracts/clock.interface.js';
import { callerContext } from '../../primitives/async-context.js';
import type { ShapedEntry } from '../shaped-entry.js';
import { BURST } from '../sse-stream.js';
import type { Member } from './member.js';

/** Where a pump of many tasks delivers. */
export interface MemberSink {
  /** True: nothing is delivered until `resume`. */
  isFull(): boolean;
  next(member: Member, entry: ShapedEntry): void;
  /** Nothing more comes of this task. */
  ended(member: Member): void;
  /** Nothing more comes of any task here. */
  cut(): void;
  failed(member: Member, error: unknown): void;
}

/**
 * Pushes the entries of many cursors, each task's in its order. What is at hand goes first; of the tasks that have to be read from history
 * one is read at a time, so that a client holds one page at most, however many tasks it follows.
 */
export class MemberPump {
  private readonly ready = new Set<Member>();
  private readonly behind = new Set<Member>();
  private isBusy = false;
  /** It has no page yet: what it takes meanwhile would be in the page again. */
  private reading: Member | undefined;
  private isClosed = false;
  private spent = 0;
  private pause: Timer | undefined;
  private readonly subscriber = callerContext();
  private readonly goOn = (): void => this.drain();

  constructor(
    private readonly sink: MemberSink,
    private readonly clock: Clock,
  ) {}

  /** Its cursor is open. */
  add(member: Member): void {
    member.cursor!.onWake = () => this.subscriber.runInAsyncScope(() => this.woken(member));
    this.woken(member);
  }

  remove(member: Member): void {
    this.ready.delete(member);
    this.behind.delete(member);
  }

  close(): void {
    this.isClosed = true;
    this.pause?.cancel();
    this.ready.clear();
    this.behind.clear();
  }

  private woken(member: Member): void {
    if (this.isClosed || member === this.reading) return;
    this.ready.add(member);
    if (this.isBusy) return;
    this.spent = 0;
    this.drain();
  }

  /** The sink is not full any more. */
  resume(): void {
    if (!this.isBusy) this.subscriber.runInAsyncScope(this.goOn);
  }

  private drain(): void {
    if (this.isClosed) return;
    this.isBusy = true;
    for (const member of this.ready) {
      if (this.sink.isFull() && member.cursor?.state !== 'cut') {
        this.isBusy = false;
        return;
      }
      this.ready.delete(member);
      if (!this.drainOne(member)) {
        this.pause = this.clock.after(0, () => this.subscriber.runInAsyncScope(this.goOn), true);
        this.spent = 0;
        return;
      }
      if (this.isClosed) return;
    }
    this.isBusy = false;
    this.readNext();
  }

  /** False: that is enough for one turn of the event loop, and there is more. */
  private drainOne(member: Member): boolean {
    const { cursor } = member;
    while (cursor !== undefined && cursor === member.cursor && !this.isClosed) {
      if (this.spent >= BURST || this.sink.isFull()) {
        this.ready.add(member);
        return false;
      }
      const entry = cursor.take();
      if (entry === undefined) {
        this.settle(member);
        break;
      }
      this.spent += entry.weight;
      this.sink.next(member, entry);
    }
    return true;
  }

  private settle(member: Member): void {
    const { state } = member.cursor!;
    if (state === 'behind') this.behind.add(member);
    else if (state === 'ended') this.sink.ended(member);
    else if (state === 'cut') this.sink.cut();
  }

  private readNext(): void {
    const [member] = this.behind;
    if (this.reading !== undefined || this.isClosed || member === undefined) return;
    this.behind.delete(member);
    void this.read(member);
  }

  private async read(member: Member): Promise<void> {
    this.reading = member;
    const { cursor } = member;
    try {
      await cursor!.catchUp();
    } catch (error) {
      if (!this.isClosed && member.cursor === cursor) this.sink.failed(member, error);
    }
    this.reading = undefined;
    if (this.isClosed) return;
    if (member.cursor !== undefined) this.ready.add(member);
    if (!this.isBusy) this.drain();
  }
}
