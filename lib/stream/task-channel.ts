import type { TaskId } from '../contracts/ids.js';
import type { TaskWatch } from '../contracts/change-feed.interface.js';
import type { CommittedFact, TaskHistory } from '../contracts/task-history.interface.js';
import { isTerminal } from '../domain/entry-types.js';
import { isEnded, type TaskState } from '../domain/task-state.js';
import { NotFoundError } from '../errors/request.errors.js';
import { EntryRing } from './entry-ring.js';
import { ShapedEntry } from './shaped-entry.js';
import type { ShownTask } from './shown-task.js';

/** `halted`: nothing more will be committed here; readers go on to the durable head. `stopping`: readers end where they are. */
export type ChannelCut = 'halted' | 'stopping';

/** What a channel tells its readers. Called synchronously; must not throw. */
export interface ChannelReader {
  wake(): void;
  /** A heartbeat that was committed when the durable head was `after`. */
  beat(entry: ShapedEntry, after: number): void;
}

export interface ChannelOptions {
  /** Entries kept per task. */
  readonly bufferSize: number;
  /** `stream.exposeErrorMessages`. */
  readonly exposesErrors: boolean;
}

const PAGE_ENTRIES = 100;
/** Characters: what one reader, or one task's ring, may hold of bodies whatever their number. */
const PAGE_WEIGHT = 256 * 1024;
const RING_WEIGHT = 1024 * 1024;

/** What all subscribers of one task share: the durable head, the newest entries, and reads of older ones that are under way. */
export class TaskChannel {
  readonly id: TaskId;
  private readonly identity: ShownTask;
  private readonly ring: EntryRing;
  private readonly readers = new Set<ChannelReader>();
  private readonly reads = new Map<number, Promise<readonly ShapedEntry[]>>();
  private refreshing: Promise<void> | undefined;
  private isCurrent = false;
  private durableHead: number;
  private hasEnded: boolean;
  private exact = true;
  private watch: TaskWatch | undefined;
  private isGone = false;
  private cutBy: ChannelCut | undefined;

  constructor(
    task: TaskState,
    { bufferSize, exposesErrors }: ChannelOptions,
    private readonly history: TaskHistory,
  ) {
    this.id = task.id;
    // Not the whole state: its input may be large.
    this.identity = { id: task.id, name: task.name, key: task.key, userId: task.userId, exposesErrors };
    this.ring = new EntryRing(bufferSize, RING_WEIGHT);
    this.durableHead = task.lastSeq;
    this.hasEnded = isEnded(task.status);
  }

  /** Seq of the newest event that is known to be durable. */
  get head(): number {
    return this.durableHead;
  }

  /** The event at the head is terminal, so that nothing comes after it unless the task is retried by hand. */
  get ended(): boolean {
    return this.hasEnded || this.isGone;
  }

  /** What can be read here is never older than what is durable. */
  get isExact(): boolean {
    return this.exact;
  }

  get cut(): ChannelCut | undefined {
    return this.cutBy;
  }

  attach(reader: ChannelReader): void {
    this.readers.add(reader);
  }

  detach(reader: ChannelReader): void {
    this.readers.delete(reader);
  }

  /** A set may be changed while it is walked: a reader that leaves inside `wake` is skipped. */
  wake(): void {
    for (const reader of this.readers) reader.wake();
  }

  cutOff(reason: ChannelCut): void {
    this.cutBy = reason;
    this.wake();
  }

  /** From now on every new fact is told; what came before has to be read once, by `refresh`. */
  watchedBy(watch: TaskWatch): void {
    this.watch = watch;
    this.exact = watch.isExact;
    this.isCurrent = false;
  }

  get isWatched(): boolean {
    return this.watch !== undefined;
  }

  /** Nobody listens: what happens from now on has to be read by whoever comes back. */
  unwatch(): void {
    this.watch?.close();
    this.watch = undefined;
  }

  /** A state that was read elsewhere. A reader that resumes behind it must not be told that its position lies beyond the head. */
  learn({ lastSeq, status }: TaskState): void {
    if (lastSeq <= this.durableHead) return;
    this.durableHead = lastSeq;
    this.hasEnded = isEnded(status);
  }

  /** Takes a fact in, without waking anybody: readers must see a whole frame, or they would take a terminal event for the last one. */
  apply({ entry }: CommittedFact): void {
    if (entry.taskSeq !== undefined) {
      if (entry.taskSeq <= this.durableHead) return;
      this.ring.push(entry.taskSeq, new ShapedEntry(this.identity, entry));
      this.durableHead = entry.taskSeq;
      this.hasEnded = isTerminal(entry.type);
    } else if (entry.type === 'heartbeat') {
      const beat = new ShapedEntry(this.identity, entry);
      for (const reader of this.readers) reader.beat(beat, this.durableHead);
    } else if (entry.type === 'pruned') {
      this.isGone = true;
    }
  }

  /**
   * Makes sure that the head is not older than this call. The channel listens by now, so that no fact falls between.
   * @throws NotFoundError; RepositoryError when it cannot be known.
   */
  refresh(): Promise<void> {
    if (this.isCurrent) return Promise.resolve();
    this.refreshing ??= this.reload().finally(() => (this.refreshing = undefined));
    return this.refreshing;
  }

  at(seq: number): ShapedEntry | undefined {
    return this.ring.get(seq);
  }

  /** Entries after `after`, from log or database; none when they could not be found just now. Readers that ask alike share one read. */
  read(after: number): Promise<readonly ShapedEntry[]> {
    let page = this.reads.get(after);
    if (page === undefined) {
      page = this.fetch(after).finally(() => this.reads.delete(after));
      this.reads.set(after, page);
    }
    return page;
  }

  /** False when the task itself is gone. @throws RepositoryError when it cannot be known. */
  async exists(): Promise<boolean> {
    return !this.isGone && (await this.history.load(this.id, false)) !== null;
  }

  private async reload(): Promise<void> {
    const state = await this.history.load(this.id, false);
    if (state === null) throw new NotFoundError();
    this.isCurrent = true;
    this.learn(state); // unless a fact overtook the answer
  }

  private async fetch(after: number): Promise<readonly ShapedEntry[]> {
    const entries = await this.history.after(this.id, after, PAGE_ENTRIES);
    const page: ShapedEntry[] = [];
    let weight = 0;
    for (const entry of entries) {
      // Only the contiguous part, and nothing that has not been announced as durable.
      if (entry.taskSeq !== after + 1 + page.length || entry.taskSeq > this.durableHead) break;
      const shaped = new ShapedEntry(this.identity, entry);
      page.push(shaped);
      weight += shaped.weight;
      if (weight >= PAGE_WEIGHT) break; // the rest is read when it is needed
    }
    return page;
  }
}
