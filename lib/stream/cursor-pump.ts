import type { Clock, Timer } from '../contracts/clock.interface.js';
import { callerContext } from '../primitives/async-context.js';
import type { ShapedEntry } from './shaped-entry.js';
import type { CursorState, StreamCursor } from './stream-cursor.js';

/** Where a pump delivers. Exactly one of `end` and `fail` is called, unless the pump is closed before. */
export interface PumpSink {
  /** True: nothing is delivered until `resume`. What cannot be delivered stays where it is. */
  isFull?(): boolean;
  next(entry: ShapedEntry): void;
  /** @param position seq of the last event delivered. */
  end(reason: Extract<CursorState, 'ended' | 'cut'>, position: number): void;
  fail(error: unknown, position: number): void;
}

/**
 * Pushes a cursor's entries: synchronously from committed facts, after a read from history. One loop at a time, so that
 * a sink that commits, subscribes or unsubscribes inside `next` never makes it recurse.
 */
export class CursorPump {
  private isBusy = false;
  private isClosed = false;
  private spent = 0;
  private pause: Timer | undefined;
  /** Of whoever subscribed: commits and timers belong to others. */
  private readonly subscriber = callerContext();
  private readonly wakeUp = (): void => this.woken();
  private readonly goOn = (): void => this.drain();

  /** @param burst characters delivered before the event loop gets a turn; Infinity for sinks without a socket behind them. */
  constructor(
    private readonly cursor: StreamCursor,
    private readonly sink: PumpSink,
    private readonly clock: Clock,
    private readonly burst: number,
  ) {}

  start(): void {
    this.cursor.onWake = () => this.subscriber.runInAsyncScope(this.wakeUp);
    this.woken();
  }

  /** Stops at once, inside `next` too; twice is once. */
  close(): void {
    if (this.isClosed) return;
    this.isClosed = true;
    this.pause?.cancel();
    this.cursor.onWake = undefined;
    this.cursor.close();
  }

  private woken(): void {
    if (this.isClosed) return;
    if (!this.isBusy) {
      this.spent = 0;
      this.drain();
    } else if (this.cursor.state === 'cut') {
      this.end('cut'); // whatever it waits for
    }
  }

  /** The sink is not full any more. */
  resume(): void {
    this.subscriber.runInAsyncScope(this.wakeUp);
  }

  private drain(): void {
    this.isBusy = true;
    while (!this.isClosed) {
      if (this.sink.isFull?.() === true && this.cursor.state !== 'cut') {
        this.isBusy = false;
        return;
      }
      const entry = this.cursor.take();
      if (entry === undefined) break;
      if (!this.deliver(entry)) return;
      this.spent += entry.weight;
      if (this.spent >= this.burst) return this.yield();
    }
    if (this.isClosed) return;
    const state = this.cursor.state;
    if (state === 'behind') return void this.catchUp();
    this.isBusy = false;
    if (state !== 'idle') this.end(state);
  }

  /** Nothing may be thrown at the one who commits: an entry that cannot be shown ends this stream alone. */
  private deliver(entry: ShapedEntry): boolean {
    try {
      this.sink.next(entry);
      return true;
    } catch (error) {
      this.fail(error, (entry.seq ?? this.cursor.position + 1) - 1);
      return false;
    }
  }

  /** A socket is written when the event loop turns; without that a long replay would pile up in the server's own queue. */
  private yield(): void {
    this.spent = 0;
    this.pause = this.clock.after(0, () => this.subscriber.runInAsyncScope(this.goOn), true);
  }

  private async catchUp(): Promise<void> {
    try {
      await this.cursor.catchUp();
    } catch (error) {
      this.fail(error, this.cursor.position);
      return;
    }
    if (!this.isClosed) this.drain();
  }

  private fail(error: unknown, position: number): void {
    if (this.isClosed) return;
    this.close();
    this.sink.fail(error, position);
  }

  private end(reason: 'ended' | 'cut'): void {
    const { position } = this.cursor;
    this.close();
    this.sink.end(reason, position);
  }
}
