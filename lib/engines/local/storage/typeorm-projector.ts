import type { LogEntry } from '../../../contracts/log-entry.interface.js';
import type { AppliedBatch, FlushBatch, FlushCursor, Projector } from '../../../contracts/task-store.interface.js';
import { RepositoryError } from '../../../errors/storage.errors.js';
import { BatchProjection, type Projection } from './batch-projection.js';
import { requireUnmoved, moveCursor, readCursor } from './cursor-rows.js';
import { isDataError, isTooSlow, reasonOf, unavailable } from '../../../repository/database-errors.js';
import type { DatabaseConnection } from '../../../repository/database.connection.js';
import { quarantinedTasks, writeDeadEntries } from './rejected/dead-entry-rows.js';
import { CursorMovedError, FencedWriterError } from './flush.errors.js';
import { encodeProjection, foldedStates, loadRows, writeProjection } from './projection-rows.js';
import { retiredKeyOf, retireKeys } from './retired-keys.js';
import type { ProjectionReport } from '../../../repository/repository.ports.js';
import type { SqlSession } from '../../../repository/sql-session.interface.js';
import { deleteQuarantined, MOST_ROWS_PER_DELETION } from './task-deletion.js';
import { failpoint } from '../../../primitives/failpoint.js';

/** RepositoryErrors that no waiting cures. */
const PERMANENT: ReadonlySet<string> = new Set(['NOT_SUPPORTED', 'NOT_A_DATABASE', 'SCHEMA_TOO_NEW', 'DRIVER_MISSING']);

/** A batch is many statements; each of them has a shorter limit where a statement can be left. */
const BATCH_LIMIT_MS = 60_000;

/** Thrown to leave a trial transaction. */
class TrialOver extends Error {}

interface Outcome {
  readonly dead: readonly { entry: LogEntry; reason: string }[];
  readonly conflicts: Projection['keyConflicts'];
}

/** Applies batches of the log to our tables: rows, events and cursor in one transaction. The only writer of its log. */
export class TypeOrmProjector implements Projector {
  private tail: Promise<unknown> = Promise.resolve();
  /** Halved when a statement of a batch that deletes ran into its time limit. */
  private deletedAtOnce = MOST_ROWS_PER_DELETION;

  constructor(
    private readonly connection: DatabaseConnection,
    private readonly report: ProjectionReport,
  ) {}

  open(): Promise<void> {
    return this.guarded(() => this.connection.within(BATCH_LIMIT_MS, () => this.connection.open()));
  }

  cursor(logId: string): Promise<FlushCursor | null> {
    return this.guarded(() => this.connection.within(BATCH_LIMIT_MS, () => readCursor(this.connection, logId)));
  }

  async apply(batch: FlushBatch): Promise<AppliedBatch> {
    // One that outlived its time still runs, and nothing queues up behind it meanwhile.
    await this.connection.within(BATCH_LIMIT_MS, () => this.tail);
    // One transaction at a time: on SQLite a second one would land inside the first.
    const applied = this.tail.then(() => this.guarded(() => this.applyIsolating(batch)));
    this.tail = applied.catch(() => undefined);
    return this.connection.within(BATCH_LIMIT_MS, () => applied);
  }

  isTransient(error: unknown): boolean {
    if (error instanceof CursorMovedError || error instanceof FencedWriterError) return false;
    return !(RepositoryError.is(error) && PERMANENT.has(error.code));
  }

  async close(): Promise<void> {
    await this.connection.within(BATCH_LIMIT_MS, () => this.tail).catch(() => undefined);
    await this.connection.close();
  }

  /** Driver errors carry the values of their statement: nobody above may log those. */
  private async guarded<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      if (error instanceof CursorMovedError || error instanceof FencedWriterError) throw error;
      throw unavailable(error, this.connection.description);
    }
  }

  /** Data errors are traced to their tasks, which are set aside; whatever else goes wrong is for the caller to try again. */
  private async applyIsolating(batch: FlushBatch): Promise<AppliedBatch> {
    const poisoned = new Map<string, string>();
    for (let wasReadAgain = false; ;) {
      try {
        const outcome = await this.connection.transaction((session) => this.applyIn(session, batch, batch.entries, poisoned));
        this.tell(outcome);
        return { cursor: batch.to, quarantined: outcome.dead.length };
      } catch (error) {
        if (isTooSlow(error) && this.cutDeletions(batch)) continue;
        if (!isDataError(error)) throw error;
        // The first time it may be another home that took a key, or our cursor, in this very moment: read again.
        if (!wasReadAgain) {
          wasReadAgain = true;
          continue;
        }
        const found = await this.poisonousTasks(batch, poisoned);
        if (found.size === 0) throw error;
        for (const [taskId, reason] of found) poisoned.set(taskId, reason);
      }
    }
  }

  /** False: what was too slow is no deletion that could be made smaller. */
  private cutDeletions({ entries }: FlushBatch): boolean {
    if (this.deletedAtOnce === 1 || !entries.some(({ type }) => type === 'pruned')) return false;
    this.deletedAtOnce = Math.ceil(this.deletedAtOnce / 4);
    return true;
  }

  private async applyIn(
    session: SqlSession,
    batch: FlushBatch,
    entries: readonly LogEntry[],
    known: ReadonlyMap<string, string>,
  ): Promise<Outcome> {
    requireUnmoved(await readCursor(session, batch.logId, true), batch);
    const poisoned = new Map(known);
    const ids = new Set(entries.map((entry) => entry.taskId as string));
    const followers = await quarantinedTasks(
      session,
      [...ids].filter((id) => id !== '' && !poisoned.has(id)),
    );
    for (const taskId of followers) poisoned.set(taskId, 'An earlier entry of the task is dead.');
    const pruned = await this.prune(session, batch, entries, followers);
    for (;;) {
      const setAside = entries.filter((entry) => poisoned.has(entry.taskId) && !pruned.has(entry.taskId));
      const rows = await loadRows(session, without(entries, poisoned), setAside, batch.logId);
      const projection = new BatchProjection(batch.logId, rows).project(without(entries, poisoned));
      const encoded = encodeProjection(projection);
      const found = [...projection.poisoned, ...encoded.poisoned];
      for (const [taskId, reason] of found) poisoned.set(taskId, reason);
      if (found.length > 0) continue; // folded again without them: keys may go to others now
      const dead = setAside.map((entry) => ({ entry, reason: poisoned.get(entry.taskId)! }));
      await writeProjection(session, projection, encoded, this.deletedAtOnce);
      await writeDeadEntries(session, batch.logId, dead);
      await moveCursor(session, batch);
      failpoint('flush.after-cursor');
      return { dead, conflicts: projection.keyConflicts };
    }
  }

  /** Quarantined tasks that are pruned go, with all that is dead of them; first, since that frees their keys. */
  private async prune(
    session: SqlSession,
    batch: FlushBatch,
    entries: readonly LogEntry[],
    followers: ReadonlySet<string>,
  ): Promise<Set<string>> {
    const asked = entries.filter((entry) => entry.type === 'pruned' && followers.has(entry.taskId)).map((entry) => entry.taskId as string);
    const states = await foldedStates(session, [...new Set(asked)], entries, batch.logId);
    const gone = [...states].filter(([, state]) => state === null).map(([id]) => id);
    await this.retire(session, batch.logId, entries, new Set(gone));
    await deleteQuarantined(session, gone, this.deletedAtOnce);
    return new Set(gone);
  }

  /** Where the next task of a key begins to number is in the task as it was last: folded up to its end. */
  private async retire(session: SqlSession, home: string, entries: readonly LogEntry[], gone: ReadonlySet<string>): Promise<void> {
    if (gone.size === 0) return;
    const [ends, lives] = [new Map<string, number>(), [] as LogEntry[]];
    for (const entry of entries) {
      if (!gone.has(entry.taskId)) continue;
      if (entry.type === 'pruned') ends.set(entry.taskId, entry.at);
      else lives.push(entry);
    }
    const before = await foldedStates(session, [...gone], lives, home);
    await retireKeys(
      session,
      [...before].flatMap(([id, task]) => (task === null ? [] : retiredKeyOf(task, ends.get(id)!))),
    );
  }

  /** Halves the tasks, in transactions that are rolled back, until each that fails stands alone. */
  private async poisonousTasks(batch: FlushBatch, known: ReadonlyMap<string, string>): Promise<Map<string, string>> {
    const found = new Map<string, string>();
    const suspects = [[...new Set(batch.entries.map((entry) => entry.taskId as string))].filter((id) => id !== '' && !known.has(id))];
    for (let group = suspects.pop(); group !== undefined; group = suspects.pop()) {
      if (group.length === 0) continue;
      const error = await this.trial(batch, new Set(group), known);
      if (error === null) continue;
      if (group.length === 1) found.set(group[0]!, reasonOf(error));
      else suspects.push(group.slice(0, group.length >> 1), group.slice(group.length >> 1));
    }
    return found;
  }

  /** The data error that these tasks cause by themselves, or null. */
  private async trial(batch: FlushBatch, tasks: ReadonlySet<string>, known: ReadonlyMap<string, string>): Promise<unknown> {
    const entries = batch.entries.filter((entry) => tasks.has(entry.taskId));
    try {
      await this.connection.transaction(async (session) => {
        await this.applyIn(session, batch, entries, known);
        throw new TrialOver();
      });
    } catch (error) {
      if (error instanceof TrialOver) return null;
      if (isDataError(error)) return error;
      throw error;
    }
    return null;
  }

  private tell(outcome: Outcome): void {
    for (const conflict of outcome.conflicts) this.report.keyConflict(conflict.taskId, conflict.holder);
    const counts = new Map<string, { entries: number; reason: string }>();
    for (const { entry, reason } of outcome.dead)
      counts.set(entry.taskId, { entries: (counts.get(entry.taskId)?.entries ?? 0) + 1, reason });
    for (const [taskId, { entries, reason }] of counts) this.report.quarantined(taskId, entries, reason);
  }
}

function without(entries: readonly LogEntry[], poisoned: ReadonlyMap<string, string>): readonly LogEntry[] {
  return poisoned.size === 0 ? entries : entries.filter((entry) => !poisoned.has(entry.taskId));
}
