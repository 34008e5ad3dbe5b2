import type { TaskId } from '../../../contracts/ids.js';
import type { StoredEntry } from '../../../contracts/task-history.interface.js';
import type { TaskPage, TaskPosition, TaskQueries, TaskQuery } from '../../../contracts/task-queries.interface.js';
import { mayKnow, type Owner } from '../../../domain/owner.js';
import type { TaskState } from '../../../domain/task-state.js';
import { StreamOverflowError } from '../../../errors/stream.errors.js';
import { BatchedLookup } from '../../../primitives/batched-lookup.js';
import type { ClusterReads } from '../storage/cluster-reads.js';

/** Ids per statement. */
const MAX_BATCH = 256;

/** Answers from the database that takes the writes: whatever was acknowledged before a question is in its answer. */
export class ClusterQueries implements TaskQueries {
  private readonly whole: BatchedLookup<TaskState>;
  private readonly heads: BatchedLookup<TaskState>;

  constructor(private readonly reads: ClusterReads) {
    this.whole = new BatchedLookup((ids) => reads.findByIds(ids, true), MAX_BATCH);
    this.heads = new BatchedLookup((ids) => reads.findByIds(ids, false), MAX_BATCH);
  }

  async find(id: TaskId, owner?: Owner): Promise<TaskState | null> {
    return known(await this.whole.get(id), owner);
  }

  async peek(id: TaskId, owner?: Owner): Promise<TaskState | null> {
    return known(await this.heads.get(id), owner);
  }

  findByKey(scopedKey: string): Promise<TaskState | null> {
    return this.reads.findByKey(scopedKey);
  }

  load(id: TaskId, bodies = true): Promise<TaskState | null> {
    return (bodies ? this.whole : this.heads).get(id);
  }

  async page(query: TaskQuery): Promise<TaskPage> {
    const items = await this.reads.page(query);
    const last = items.at(-1);
    return { items, next: items.length < query.limit || last === undefined ? null : positionOf(last, query) };
  }

  countDeadLetters(since: number, atMost: number): Promise<number> {
    return this.reads.countDeadLetters(since, atMost);
  }

  async isAmongNewestDead(dead: TaskState, since: number, size: number): Promise<boolean> {
    if (dead.deadLetteredAt === null) return false;
    return (await this.reads.deadLetterRank(since, { at: dead.deadLetteredAt, id: dead.id }, size)) < size;
  }

  async after(id: TaskId, afterSeq: number, limit: number): Promise<readonly StoredEntry[]> {
    const entries = await this.reads.entriesAfter(id, afterSeq, limit);
    const first = entries[0]?.taskSeq;
    if (first !== undefined && first > afterSeq + 1) throw new StreamOverflowError(afterSeq, first);
    return entries;
  }
}

const known = (task: TaskState | null, owner: Owner): TaskState | null => (task !== null && mayKnow(owner, task.userId) ? task : null);

const positionOf = (task: TaskState, query: TaskQuery): TaskPosition => ({
  at: query.deadLetteredSince === undefined ? task.createdAt : (task.deadLetteredAt ?? 0),
  id: task.id,
});
