import type { Clock } from '../../contracts/clock.interface.js';
import type { TaskId } from '../../contracts/ids.js';
import type { CommittedFact } from '../../contracts/task-history.interface.js';
import type { TaskPosition, TaskQueries, TaskQuery } from '../../contracts/task-queries.interface.js';
import { type Owner, mayKnow } from '../../domain/owner.js';
import { cursorEntry, cursorText, SINCE } from '../../domain/stream-cursors.js';
import { matches } from '../../domain/task-query.js';
import { isEnded, type TaskState } from '../../domain/task-state.js';
import { NotFoundError } from '../../errors/request.errors.js';
import type { StreamCursor } from '../stream-cursor.js';
import { Member } from './member.js';

export type TaskFilter = Pick<TaskQuery, 'userId' | 'status' | 'name' | 'tag'>;

export interface FollowRequest {
  readonly owner: Owner;
  /** Tasks that were named, or what tasks have to match. */
  readonly tasks: readonly TaskState[] | TaskFilter;
  readonly cursors: ReadonlyMap<string, number>;
}
/** What happens to a task while it is followed. */
export interface FollowListener {
  opened(member: Member): void;
  missing(id: TaskId): void;
  broken(): void;
}

/** Tasks that one client follows at once: the newest. The others come when there is room. */
export const MAX_FOLLOWED = 100;
/** Those that are over are told of for a while, so that whoever comes back is not shown them again. */
const MAX_KNOWN = 250;
/** Whoever comes is told of tasks that were made so long ago, though they have ended: a page that submits and then listens misses nothing. */
const WINDOW_MS = 60_000;
const AT_ONCE = 10;

/** The tasks of one stream, how far each was told, and those that join. */
export class FollowedTasks {
  readonly members = new Map<TaskId, Member>();
  listener: FollowListener | undefined;
  /** More tasks match than are followed. */
  private isCrowded = false;
  private isFilling = false;
  private isClosed = false;
  private since: number;
  private readonly filter: TaskFilter | undefined;

  constructor(
    private readonly request: FollowRequest,
    private readonly queries: TaskQueries,
    private readonly openCursor: (task: TaskState, at: number) => Promise<StreamCursor>,
    private readonly clock: Clock,
    private readonly onClose: () => void,
  ) {
    this.filter = 'length' in request.tasks ? undefined : (request.tasks as TaskFilter);
    this.since = request.cursors.get(SINCE) ?? clock.now() - WINDOW_MS;
  }

  get isNamed(): boolean {
    return this.filter === undefined;
  }

  get hasFollowed(): boolean {
    return this.followed > 0;
  }

  /** @throws ValidationError, SubscriberLimitError, RepositoryError, ShuttingDownError */
  async open(): Promise<void> {
    const tasks = this.filter === undefined ? (this.request.tasks as readonly TaskState[]) : await this.matching(this.filter, true);
    const opening = this.admit(tasks);
    for (let from = 0; from < opening.length; from += AT_ONCE)
      await Promise.all(opening.slice(from, from + AT_ONCE).map(([member, task]) => this.openMember(member, task)));
  }

  close(): void {
    if (this.isClosed) return;
    this.isClosed = true;
    for (const member of this.members.values()) member.close();
    this.onClose();
  }

  /** A fact of a task that this stream may be about. */
  told({ task, entry }: CommittedFact): void {
    if (entry.taskSeq === undefined || this.isClosed) return;
    const member = this.members.get(task.id);
    if (member?.isFollowed === true || (member !== undefined && task.lastSeq <= member.at)) return;
    if (member === undefined && (this.filter === undefined || !matches(task, this.filter))) return;
    this.joinAll([task]);
  }

  /** All of it was handed out: it is followed no more, unless it is retried by hand. */
  leave(member: Member): void {
    member.close();
    if (this.isCrowded && this.followed < MAX_FOLLOWED / 2) void this.refill();
  }

  /** It is gone. */
  forget(member: Member): void {
    member.close();
    this.members.delete(member.id);
  }

  /** Again from where the member stands. */
  reopen(member: Member, task: TaskState): void {
    member.close();
    this.join(member, task);
  }

  /** The composite id of the message with this number. */
  text(number: number): string {
    if (this.filter === undefined || this.filter.status !== undefined) {
      this.dropOver(this.filter !== undefined && !isEnded(this.filter.status!) ? 0 : MAX_KNOWN);
      return cursorText(number, this.texts());
    }
    if (!this.isCrowded) this.since = Math.max(this.since, this.clock.now() - WINDOW_MS);
    for (const member of this.members.values()) if (!member.isFollowed && member.createdAt < this.since) this.members.delete(member.id);
    this.dropOver(MAX_KNOWN);
    return cursorText(number, [cursorEntry(SINCE, this.since), ...this.texts()]);
  }

  private texts(): string[] {
    return Array.from(this.members.values(), (member) => member.text());
  }

  /** The oldest that are over, down to so many members. Of tasks that were named all are kept. */
  private dropOver(size: number): void {
    if (this.filter === undefined || this.members.size <= size) return;
    const over = [...this.members.values()].filter((member) => !member.isFollowed).sort((a, b) => a.createdAt - b.createdAt);
    for (const member of over.slice(0, this.members.size - size)) {
      this.members.delete(member.id);
      this.since = Math.max(this.since, member.createdAt + 1);
    }
  }

  private get followed(): number {
    let count = 0;
    for (const member of this.members.values()) if (member.isFollowed) count += 1;
    return count;
  }

  /** Members of tasks that were none, and of which something is to be told, as far as there is room. */
  private admit(tasks: Iterable<TaskState>): [Member, TaskState][] {
    const opening: [Member, TaskState][] = [];
    let room = MAX_FOLLOWED - this.followed;
    for (const task of tasks) {
      const member = this.members.get(task.id) ?? new Member(task, this.request.cursors.get(task.id) ?? 0);
      if (member.isFollowed) continue;
      const isOver = isEnded(task.status) && member.at >= task.lastSeq;
      if (isOver || room > 0) this.members.set(task.id, member);
      else this.isCrowded = true;
      if (isOver || room === 0) continue;
      room -= 1;
      member.isOpening = true;
      opening.push([member, task]);
    }
    return opening;
  }

  private joinAll(tasks: Iterable<TaskState>): void {
    for (const [member, task] of this.admit(tasks)) this.join(member, task);
  }

  private join(member: Member, task: TaskState): void {
    member.isOpening = true;
    this.openMember(member, task).then(
      () => member.cursor !== undefined && this.listener?.opened(member),
      () => this.isClosed || this.listener?.broken(),
    );
  }

  private async openMember(member: Member, task: TaskState): Promise<void> {
    try {
      member.cursor = await this.openCursor(task, member.at);
      if (this.isClosed) member.close();
    } catch (error) {
      if (!NotFoundError.is(error)) throw error;
      this.members.delete(member.id);
      this.listener?.missing(member.id);
    } finally {
      member.isOpening = false;
    }
  }

  private async refill(): Promise<void> {
    if (this.isFilling || this.filter === undefined) return;
    this.isFilling = true;
    try {
      const tasks = await this.matching(this.filter, false);
      this.isCrowded = false;
      if (!this.isClosed) this.joinAll(tasks);
    } catch {
      // Still crowded: the next task that ends asks again.
    } finally {
      this.isFilling = false;
    }
  }

  /** Newest first within each part: those with that status, or unfinished ones and then those that are new to the client. */
  private async matching(filter: TaskFilter, withKnown: boolean): Promise<Iterable<TaskState>> {
    const found = new Map<TaskId, TaskState>();
    const add = (tasks: Iterable<TaskState>): void => {
      for (const task of tasks) if (!found.has(task.id)) found.set(task.id, task);
    };
    if (withKnown) add(await this.known(filter));
    const statuses = filter.status === undefined ? (['created', 'running'] as const) : [filter.status];
    for (const status of statuses) add((await this.queries.page({ ...filter, status, limit: MAX_FOLLOWED + 1 })).items);
    if (filter.status === undefined) add(await this.recent(filter));
    return found.values();
  }

  /** Tasks that the client has begun with, whatever became of them. */
  private async known({ status: _status, ...filter }: TaskFilter): Promise<TaskState[]> {
    const ids = [...this.request.cursors.keys()].filter((id) => id !== SINCE) as TaskId[];
    const states: (TaskState | null)[] = [];
    for (let from = 0; from < ids.length; from += AT_ONCE)
      states.push(...(await Promise.all(ids.slice(from, from + AT_ONCE).map((id) => this.queries.peek(id, this.request.owner)))));
    return states.filter((state) => state !== null && mayKnow(this.request.owner, state.userId) && matches(state, filter)) as TaskState[];
  }

  private async recent(filter: TaskFilter): Promise<TaskState[]> {
    const recent: TaskState[] = [];
    let after: TaskPosition | undefined;
    do {
      const { items, next } = await this.queries.page({ ...filter, limit: MAX_FOLLOWED, ...(after === undefined ? {} : { after }) });
      const fresh = items.filter(({ createdAt }) => createdAt >= this.since);
      recent.push(...fresh);
      after = fresh.length === items.length ? (next ?? undefined) : undefined;
    } while (after !== undefined && recent.length < MAX_KNOWN - MAX_FOLLOWED);
    return recent;
  }
}
