import type { Clock } from '../../../../contracts/clock.interface.js';
import type { LogEntry } from '../../../../contracts/log-entry.interface.js';
import type { EventLogEntry, TaskRepository } from '../../../../contracts/task-repository.interface.js';
import type {
  AppliedBatch,
  CursorFile,
  FlushBatch,
  FlushCursor,
  Projector,
  TaskStore,
} from '../../../../contracts/task-store.interface.js';
import { RepositoryError } from '../../../../errors/storage.errors.js';
import { requireUnmoved } from '../cursor-rows.js';
import { BatchLane } from './batch-lane.js';
import { CustomIdentities, type TaskIdentity } from './custom-identities.js';
import { cursorIn, ofLog } from './custom-task-store.js';
import { inPlaceOfLost } from './lost-entries.js';
import { LimitedRepository } from './limited-repository.js';
import type { ProjectionReport } from '../../../../repository/repository.ports.js';
import { StorageWatch } from '../../../../repository/storage-watch.js';
import { unavailable } from '../../../../repository/database-errors.js';
import { CursorMovedError, FencedWriterError } from '../flush.errors.js';

/** What a custom repository is not given: `gap` is about the log, `adopted` about homes, of which it has one. */
const NOT_FORWARDED: ReadonlySet<string> = new Set(['gap', 'adopted']);

/** Hands batches to a repository of the user's own: at least once, since its cursor is a file beside the log. */
export class CustomProjector implements Projector {
  private readonly watch: StorageWatch;
  private readonly identities: CustomIdentities;
  private readonly lane: BatchLane;

  constructor(
    repository: TaskRepository,
    clock: Clock,
    /** The store on the same repository: it initialises and closes it, once for both. */
    private readonly store: Pick<TaskStore, 'open'>,
    private readonly cursorFile: CursorFile,
    private readonly report: Pick<ProjectionReport, 'bridged'>,
  ) {
    this.watch = new StorageWatch(clock, 'custom repository');
    this.identities = new CustomIdentities(new LimitedRepository(repository, this.watch));
    this.lane = new BatchLane(repository, clock);
  }

  open(): Promise<void> {
    return this.store.open();
  }

  cursor(logId: string): Promise<FlushCursor | null> {
    return cursorIn(this.cursorFile, logId);
  }

  async apply(batch: FlushBatch): Promise<AppliedBatch> {
    requireUnmoved(await this.cursor(batch.logId), batch);
    const bridged = new Map<string, number>();
    try {
      for (const entries of splitAtPruned(await this.completeEntries(batch.entries, bridged))) await this.lane.give(entries);
      // Looked at again: the repository may have taken so long that another process holds the log.
      await this.cursorFile.write(batch.to, (stored) => requireUnmoved(ofLog(stored, batch.logId), batch));
    } catch (error) {
      this.identities.forgetAll();
      if (!this.isTransient(error)) throw error;
      throw unavailable(error, 'custom repository');
    }
    for (const [taskId, entries] of bridged) this.report.bridged?.(taskId, entries);
    return { cursor: batch.to, quarantined: 0 };
  }

  isTransient(error: unknown): boolean {
    if (error instanceof CursorMovedError || error instanceof FencedWriterError) return false;
    return !(RepositoryError.is(error) && error.code === 'NOT_SUPPORTED');
  }

  /** The store closes the repository. */
  async close(): Promise<void> {
    this.watch.end();
  }

  private async completeEntries(entries: readonly LogEntry[], bridged: Map<string, number>): Promise<EventLogEntry[]> {
    const complete: EventLogEntry[] = [];
    for (const entry of entries) {
      if (NOT_FORWARDED.has(entry.type) || entry.taskId === '') continue;
      const known = await this.identities.of(entry);
      // A task that is not there was pruned by a later entry, before a crash: what led to it comes again and finds nothing.
      if (known === null) continue;
      const next = forwarded(entry, known.identity);
      const places = inPlaceOfLost(known, next);
      if (places.length > 0) bridged.set(entry.taskId, (bridged.get(entry.taskId) ?? 0) + places.length);
      complete.push(...places, next);
      known.lastSeq = Math.max(known.lastSeq, entry.taskSeq ?? 0);
      known.fence = Math.max(known.fence, entry.fence);
      if (entry.type === 'pruned') this.identities.forget(entry.taskId);
    }
    return complete;
  }
}

const forwarded = (entry: LogEntry, identity: TaskIdentity): EventLogEntry => ({
  seq: entry.seq,
  type: entry.type,
  taskId: entry.taskId,
  ...(entry.taskSeq === undefined ? {} : { taskSeq: entry.taskSeq }),
  ...identity,
  attempt: entry.attempt,
  fence: entry.fence,
  ownerId: entry.owner,
  timestamp: entry.at,
  data: entry.data,
});

/** `pruned` never shares a batch with another entry of its task, so that a repository may do deletions first or last. */
export function splitAtPruned(entries: readonly EventLogEntry[]): EventLogEntry[][] {
  const batches: EventLogEntry[][] = [];
  let batch: EventLogEntry[] = [];
  let touched = new Set<string>();
  let pruned = new Set<string>();
  for (const entry of entries) {
    if (entry.type === 'pruned' ? touched.has(entry.taskId) : pruned.has(entry.taskId)) {
      batches.push(batch);
      batch = [];
      touched = new Set();
      pruned = new Set();
    }
    batch.push(entry);
    touched.add(entry.taskId);
    if (entry.type === 'pruned') pruned.add(entry.taskId);
  }
  if (batch.length > 0) batches.push(batch);
  return batches;
}
