import type { Clock, Timer } from '../../../contracts/clock.interface.js';
import type { TaskId } from '../../../contracts/ids.js';
import type { CommittedFact, StoredEntry } from '../../../contracts/task-history.interface.js';
import { fold } from '../../../domain/fold.js';
import type { TaskState } from '../../../domain/task-state.js';
import type { FactNews } from '../facts/fact-news.js';
import type { FollowedEntries } from '../storage/packed-entries.js';

export interface FollowerParts {
  readonly clock: Clock;
  readonly news: FactNews;
  /** What is new of all these tasks after the given sequences, contiguous for each; one statement. */
  readonly read: (positions: ReadonlyMap<TaskId, number>) => Promise<readonly FollowedEntries[]>;
  /** Those of the tasks that are still there. */
  readonly present: (ids: readonly TaskId[]) => Promise<{ has(id: TaskId): boolean }>;
  readonly load: (id: TaskId) => Promise<TaskState | null>;
  /** Told by others when something happens, this node looks more rarely by itself. */
  readonly isListening: () => boolean;
}

/** Between two looks while nobody tells of news. Unit: ms. */
const TICK_MS = 100;
const LISTENING_MS = 1_000;
/** Hints that come close together are one look. Unit: ms. */
const HINT_MS = 5;
/** How often it is looked whether the tasks are still there. Unit: ms. */
const PRESENT_MS = 5_000;

interface Followed {
  task: TaskState;
  seq: number;
  watchers: number;
}

/** Follows all tasks that somebody on this node listens to, with one statement a tick, and tells what other nodes made of them. */
export class Follower {
  private readonly tasks = new Map<TaskId, Followed>();
  private timer: Timer | undefined;
  private isReading = false;
  private isAskedFor = false;
  private isClosed = false;
  private presentAt = 0;

  constructor(private readonly parts: FollowerParts) {
    parts.news.onMade((facts) => this.made(facts));
  }

  get size(): number {
    return this.tasks.size;
  }

  /** @returns ends it. */
  follow(task: TaskState): () => void {
    const followed = this.tasks.get(task.id) ?? { task, seq: task.lastSeq, watchers: 0 };
    this.tasks.set(task.id, followed);
    followed.watchers++;
    if (task.lastSeq > followed.seq) Object.assign(followed, { task, seq: task.lastSeq });
    if (this.timer === undefined && !this.isReading) this.lookIn(this.intervalMs);
    return () => {
      followed.watchers--;
      if (followed.watchers === 0 && this.tasks.get(task.id) === followed) this.tasks.delete(task.id);
    };
  }

  /** Something happened to one of these tasks, as another node says. */
  hinted(ids: readonly TaskId[]): void {
    if (ids.some((id) => this.tasks.has(id))) this.lookNow();
  }

  lookNow(): void {
    if (this.isReading) this.isAskedFor = true;
    else if (this.tasks.size > 0) this.lookIn(HINT_MS);
  }

  close(): void {
    this.isClosed = true;
    this.timer?.cancel();
  }

  private get intervalMs(): number {
    return this.parts.isListening() ? LISTENING_MS : TICK_MS;
  }

  /** Own facts were told at once: they need not be read. */
  private made(facts: readonly CommittedFact[]): void {
    if (this.tasks.size === 0) return;
    for (const { task, entry } of facts) {
      const followed = this.tasks.get(task.id);
      if (followed === undefined || entry.taskSeq !== followed.seq + 1) continue;
      followed.seq = entry.taskSeq;
      followed.task = task;
    }
  }

  private lookIn(delayMs: number): void {
    this.timer?.cancel();
    if (this.isClosed) return;
    this.timer = this.parts.clock.after(delayMs, () => void this.look());
  }

  private async look(): Promise<void> {
    this.timer = undefined;
    if (this.tasks.size === 0) return;
    this.isReading = true;
    this.isAskedFor = false;
    try {
      const positions = new Map([...this.tasks].map(([id, { seq }]) => [id, seq]));
      for (const { id, entries } of await this.parts.read(positions)) {
        const followed = this.tasks.get(id);
        if (followed !== undefined && !this.isClosed) await this.tell(followed, entries);
      }
      await this.lookForGone();
    } catch {
      // A database that does not answer is asked again: whoever reads from it meanwhile hears of it.
    }
    this.isReading = false;
    if (this.tasks.size > 0 && this.timer === undefined) this.lookIn(this.isAskedFor ? HINT_MS : this.intervalMs);
  }

  private async tell(followed: Followed, entries: readonly StoredEntry[]): Promise<void> {
    const fresh = entries.filter(({ taskSeq }) => taskSeq !== undefined && taskSeq > followed.seq);
    if (fresh.length === 0) return;
    const facts: CommittedFact[] = [];
    let { task } = followed;
    for (const entry of fresh) {
      task = folded(task, entry) ?? (await this.parts.load(task.id)) ?? task;
      facts.push({ task, entry });
    }
    // Own facts may have been told while a state was read.
    followed.seq = Math.max(followed.seq, fresh.at(-1)!.taskSeq!);
    followed.task = task;
    this.parts.news.heard(facts);
  }

  /** A task that is pruned leaves no entry behind that would say so. */
  private async lookForGone(): Promise<void> {
    const now = this.parts.clock.monotonic();
    if (now - this.presentAt < PRESENT_MS) return;
    this.presentAt = now;
    const followed = [...this.tasks];
    const present = await this.parts.present(followed.map(([id]) => id));
    for (const [id, each] of followed) if (!present.has(id) && this.tasks.get(id) === each) this.gone(id, each);
  }

  private gone(id: TaskId, { task }: Followed): void {
    this.tasks.delete(id);
    const { attempt, fence, lastEventAt: at } = task;
    this.parts.news.heard([{ task, entry: { taskSeq: undefined, type: 'pruned', at, attempt, fence, body: '' } }]);
  }
}

/** Undefined: something before it is missing here, so that the state has to be read. */
function folded(task: TaskState, entry: StoredEntry): TaskState | undefined {
  if (entry.taskSeq !== task.lastSeq + 1) return undefined;
  const data = entry.body === '' ? {} : (JSON.parse(entry.body) as Record<string, unknown>);
  return fold(task, { ...entry, taskId: task.id, owner: task.owner, data }, task.home) ?? undefined;
}
