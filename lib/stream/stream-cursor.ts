import type { Clock, Timer } from '../contracts/clock.interface.js';
import { NotFoundError } from '../errors/request.errors.js';
import { StreamOverflowError } from '../errors/stream.errors.js';
import type { ShapedEntry } from './shaped-entry.js';
import type { ChannelReader, TaskChannel } from './task-channel.js';

/**
 * What a cursor without an entry at hand is waiting for. `behind`: history has to be read. `idle`: the next commit.
 * `ended`: nothing, the task is over. `cut`: nothing, commits or the whole system have stopped.
 */
export type CursorState = 'behind' | 'idle' | 'ended' | 'cut';

const FIRST_DELAY_MS = 10;
const MAX_DELAY_MS = 1_000;
const NOTHING: readonly ShapedEntry[] = [];

/** A position in one task's events. It holds one page at most: whoever is slow reads again, and no producer waits for it. */
export class StreamCursor implements ChannelReader {
  /** Called synchronously after each commit, and when the channel is cut. */
  onWake: (() => void) | undefined;
  private page: readonly ShapedEntry[] = NOTHING;
  private pageIndex = 0;
  private heartbeat: { readonly entry: ShapedEntry; readonly after: number } | undefined;
  private isOver = false;
  private isClosed = false;
  private interrupt: (() => void) | undefined;

  /** @param at seq of the last event that the reader has; @param onClose gives back what was counted, called once. */
  constructor(
    private readonly channel: TaskChannel,
    private at: number,
    private readonly clock: Clock,
    private readonly options: { readonly heartbeats: boolean },
    private readonly onClose: () => void,
  ) {
    channel.attach(this);
  }

  get position(): number {
    return this.at;
  }

  /** Seq of the task's newest event that is known to be durable. */
  get head(): number {
    return this.channel.head;
  }

  /** Makes sure that the head is not older than this call. @throws NotFoundError, RepositoryError */
  refresh(): Promise<void> {
    return this.channel.refresh();
  }

  get state(): CursorState {
    const { head, ended, isExact, cut } = this.channel;
    if (this.isClosed || cut === 'stopping') return 'cut';
    if (this.isOver) return 'ended';
    if (this.at < head) return 'behind';
    // What is durable may be ahead of what can be read here: then a position beyond the head waits.
    if (ended && (isExact || this.at === head)) return 'ended';
    return cut === 'halted' ? 'cut' : 'idle';
  }

  /** True when the position lies beyond what there is, and is no matter of waiting. */
  get isAhead(): boolean {
    return this.channel.isExact && !this.channel.ended && this.at > this.channel.head;
  }

  /** The next entry if it is at hand. A terminal one that is the last durable entry at this moment ends the cursor. */
  take(): ShapedEntry | undefined {
    if (this.isOver || this.isClosed || this.channel.cut === 'stopping') return undefined;
    if (this.heartbeat !== undefined && this.at === this.heartbeat.after) {
      const { entry } = this.heartbeat;
      this.heartbeat = undefined;
      return entry;
    }
    const next = this.fromPage() ?? this.channel.at(this.at + 1);
    if (next === undefined) return undefined;
    this.at += 1;
    this.isOver = this.channel.ended && this.at === this.channel.head;
    return next;
  }

  /** The first read: says what is wrong instead of waiting for it to pass. @throws StreamOverflowError, RepositoryError */
  async prime(): Promise<void> {
    if (this.state !== 'behind' || this.channel.at(this.at + 1) !== undefined) return;
    this.keep(await this.channel.read(this.at));
  }

  /**
   * Asks for the next entry until it is at hand, or the cursor is closed or cut. A database that is down is asked again,
   * and so is one that has nothing although the durable head is beyond.
   * @throws StreamOverflowError, NotFoundError: what is gone is gone.
   */
  async catchUp(): Promise<void> {
    for (let delayMs = FIRST_DELAY_MS; this.state === 'behind'; delayMs = Math.min(delayMs * 2, MAX_DELAY_MS)) {
      const isFound = await this.orInterrupted(this.tryRead());
      if (isFound !== false || this.state !== 'behind') return;
      await this.pause(delayMs);
    }
  }

  /** Releases everything; twice is once. */
  close(): void {
    if (this.isClosed) return;
    this.isClosed = true;
    this.page = NOTHING;
    this.heartbeat = undefined;
    this.channel.detach(this);
    this.interrupt?.();
    this.onClose();
  }

  wake(): void {
    if (this.state === 'cut') this.interrupt?.();
    this.onWake?.();
  }

  beat(entry: ShapedEntry, after: number): void {
    // One place only: a newer heartbeat says all that an older one said.
    if (this.options.heartbeats) this.heartbeat = { entry, after };
  }

  private async tryRead(): Promise<boolean> {
    if (this.channel.at(this.at + 1) !== undefined) return true;
    try {
      const page = await this.channel.read(this.at);
      if (page.length === 0 && !(await this.channel.exists())) throw new NotFoundError();
      return this.keep(page);
    } catch (error) {
      if (StreamOverflowError.is(error) || NotFoundError.is(error)) throw error;
      return false;
    }
  }

  private keep(page: readonly ShapedEntry[]): boolean {
    if (this.isClosed) return false;
    this.page = page;
    this.pageIndex = 0;
    return page.length > 0;
  }

  private fromPage(): ShapedEntry | undefined {
    const entry = this.page[this.pageIndex];
    if (entry === undefined) return undefined;
    this.pageIndex += 1;
    if (this.pageIndex === this.page.length) this.page = NOTHING;
    return entry;
  }

  private pause(delayMs: number): Promise<void> {
    let timer: Timer | undefined;
    const elapsed = new Promise<void>((resolve) => {
      timer = this.clock.after(delayMs, resolve);
    });
    return this.orInterrupted(elapsed).then(() => timer?.cancel());
  }

  /** Does not wait for a read that hangs once the cursor is closed or cut. */
  private orInterrupted<T>(work: Promise<T>): Promise<T | undefined> {
    return new Promise((resolve, reject) => {
      this.interrupt = () => resolve(undefined);
      work.then(resolve, reject);
    });
  }
}
