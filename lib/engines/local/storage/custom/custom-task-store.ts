import type { TaskRepository } from '../../../../contracts/task-repository.interface.js';
import type { StoredEntry } from '../../../../contracts/task-history.interface.js';
import type { TaskQuery } from '../../../../contracts/task-queries.interface.js';
import type { CursorFile, FlushCursor, TaskStore, UnfinishedHome } from '../../../../contracts/task-store.interface.js';
import { idempotencyKey, taskId as brandedTaskId } from '../../../../contracts/ids.js';
import { stateOf } from '../../../../domain/task-snapshot.js';
import { changed, type TaskState } from '../../../../domain/task-state.js';
import { RepositoryError } from '../../../../errors/storage.errors.js';
import { OPEN_LIMIT_MS } from '../../../../repository/statement-limits.js';
import { StorageWatch } from '../../../../repository/storage-watch.js';
import { CustomListing } from './custom-listing.js';
import { unavailable } from '../../../../repository/database-errors.js';
import { LimitedRepository } from './limited-repository.js';
import { RepositoryOpening } from './repository-opening.js';
import { storedEntryOf } from './stored-entry.js';
import type { CustomStoragePorts } from '../../../../repository/repository.ports.js';

const LOOKUPS_AT_ONCE = 8;
const PAGE_LIMIT = 500;
/** More failed tasks than this before the first that may go, and retention waits for the next sweep. */
const MAX_ENDED_PER_SWEEP = 10_000;

/**
 * Reads through a repository of the user's own. It belongs to one log, so that every task's home is that log.
 * What its eight members cannot answer in one call is paged together here; what they cannot answer at all is `NOT_SUPPORTED`.
 */
export class CustomTaskStore implements TaskStore {
  private readonly watch: StorageWatch;
  private readonly repository: LimitedRepository;
  private readonly opening: RepositoryOpening;
  private readonly listing: CustomListing;
  /** Unfinished tasks, by the status that is paged through, as of the first page: the repository gives all of them at once. */
  private readonly scans = new Map<string, readonly TaskState[]>();

  constructor(
    repository: TaskRepository,
    private readonly ports: CustomStoragePorts,
  ) {
    this.watch = new StorageWatch(ports.clock, 'custom repository', ports.onSilence);
    this.repository = new LimitedRepository(repository, this.watch);
    this.opening = new RepositoryOpening(this.repository, ports.clock);
    this.listing = new CustomListing(this.repository, (task) => this.state(task));
  }

  get isOpen(): boolean {
    return this.opening.isOpen;
  }

  get isSilent(): boolean {
    return this.watch.isSilent;
  }

  open(): Promise<void> {
    if (this.isOpen) return Promise.resolve();
    if (this.opening.wasClosed) return Promise.reject(new RepositoryError('UNAVAILABLE', 'The custom repository was closed.'));
    return guarded(() => this.watch.ask(OPEN_LIMIT_MS, () => this.opening.open()));
  }

  async cursor(logId: string): Promise<FlushCursor | null> {
    return cursorIn(this.ports.cursorFile, logId);
  }

  confirmedCursor(logId: string): Promise<FlushCursor | null> {
    return this.cursor(logId);
  }

  async findByIds(ids: readonly string[]): Promise<Map<string, TaskState>> {
    return this.lookUp(ids, (repository, id) => repository.findById(brandedTaskId(id)));
  }

  async findByKeys(scopedKeys: readonly string[]): Promise<Map<string, TaskState>> {
    return this.lookUp(scopedKeys, (repository, key) => repository.findByIdempotencyKey(idempotencyKey(key)));
  }

  /** With a pruned task its key is forgotten: no member of a custom repository remembers it. */
  async keyBases(): Promise<Map<string, number>> {
    return new Map();
  }

  async entriesAfter(taskId: string, afterSeq: number, limit: number): Promise<StoredEntry[]> {
    const id = brandedTaskId(taskId);
    const events = await this.ask((repository) => repository.getEventsAfter?.(id, afterSeq, limit) ?? repository.getEvents(id));
    return events
      .filter((event) => event.seq > afterSeq)
      .sort((a, b) => a.seq - b.seq)
      .slice(0, limit)
      .map(storedEntryOf);
  }

  async unfinished(
    home: string,
    status: 'created' | 'running' | undefined,
    after: { at: number; id: string } | null,
    limit: number,
  ): Promise<TaskState[]> {
    if (home !== this.ports.logId()) return [];
    const name = status ?? '';
    let scan = after === null ? undefined : this.scans.get(name);
    if (scan === undefined) {
      scan = (await this.allUnfinished()).filter((state) => status === undefined || state.status === status);
      this.scans.set(name, scan);
    }
    const from =
      after === null ? 0 : scan.findIndex((state) => state.createdAt > after.at || (state.createdAt === after.at && state.id > after.id));
    const page = from < 0 ? [] : scan.slice(from, from + limit);
    if (page.length < limit) this.scans.delete(name); // that was the last one
    return page;
  }

  list(query: TaskQuery): Promise<TaskState[]> {
    return this.ask(() => this.listing.page(query));
  }

  deadLetterRank(since: number, position: { at: number; id: string }): Promise<number> {
    return this.ask(() => this.listing.countDeadLetters(since, position, Number.POSITIVE_INFINITY));
  }

  countDeadLetters(since: number, atMost: number): Promise<number> {
    return this.ask(() => this.listing.countDeadLetters(since, undefined, atMost));
  }

  async prunable(home: string, completedBefore: number, failedBefore: number, limit: number): Promise<TaskState[]> {
    const { repository } = this;
    if (repository.findEnded === undefined || home !== this.ports.logId()) return [];
    const before = new Date(Math.max(completedBefore, failedBefore));
    for (let asked = limit; ; asked *= 4) {
      const ended = (await this.ask(() => repository.findEnded!(before, asked))).map((task) => withoutBodies(this.state(task)));
      const due = ended.filter(
        (task) => task.completedAt !== null && task.completedAt < (task.status === 'failed' ? failedBefore : completedBefore),
      );
      // Failed tasks, which stay longer, may stand before the others.
      if (due.length >= limit || ended.length < asked || asked >= MAX_ENDED_PER_SWEEP) return due.slice(0, limit);
    }
  }

  // One repository, one log: there are no other homes, and nothing is ever set aside.
  async staleElsewhere(): Promise<readonly { id: string; home: string; lastSeenAt: number }[]> {
    return [];
  }

  async unfinishedElsewhere(): Promise<readonly UnfinishedHome[]> {
    return [];
  }

  async isKnown(): Promise<boolean> {
    return true;
  }

  async beat(): Promise<void> {}

  async leave(): Promise<void> {}

  async deadEntryCount(): Promise<number> {
    return 0;
  }

  healthCheck(): Promise<boolean> {
    return this.repository.healthCheck().catch(() => false);
  }

  close(): Promise<void> {
    return guarded(() => this.opening.close()).finally(() => this.watch.end());
  }

  private state(task: Parameters<typeof stateOf>[0]): TaskState {
    return stateOf(task, this.ports.logId());
  }

  private async allUnfinished(): Promise<TaskState[]> {
    const tasks = await this.ask(async (repository) => {
      if (repository.findActive === undefined) return repository.findStaleTasks(0);
      const found = [];
      for (let cursor: string | null = null; ;) {
        const page: Awaited<ReturnType<NonNullable<TaskRepository['findActive']>>> = await repository.findActive(cursor, PAGE_LIMIT);
        for (const task of page.items) found.push(task);
        if (page.nextCursor === null || page.nextCursor === cursor) return found;
        cursor = page.nextCursor;
      }
    });
    return tasks
      .map((task) => withoutBodies(this.state(task)))
      .filter((task) => task.status === 'created' || task.status === 'running')
      .sort((a, b) => a.createdAt - b.createdAt || (a.id < b.id ? -1 : 1));
  }

  /** Until `initialize` resolved a repository cannot know its tasks: its `null` would mean "not read yet", and a key that is taken would seem free. */
  private async ask<T>(work: (repository: TaskRepository) => Promise<T>): Promise<T> {
    if (!this.isOpen) await this.open();
    return guarded(() => work(this.repository));
  }

  private async lookUp(
    keys: readonly string[],
    find: (repository: TaskRepository, key: string) => ReturnType<TaskRepository['findById']>,
  ): Promise<Map<string, TaskState>> {
    const found = new Map<string, TaskState>();
    for (let at = 0; at < keys.length; at += LOOKUPS_AT_ONCE) {
      await this.ask((repository) =>
        Promise.all(
          keys.slice(at, at + LOOKUPS_AT_ONCE).map(async (key) => {
            const task = await find(repository, key);
            if (task !== null && task !== undefined) found.set(key, this.state(task));
          }),
        ),
      );
    }
    return found;
  }
}

/** The cursor, if it is of this log. @throws RepositoryError. */
export async function cursorIn(file: CursorFile, logId: string): Promise<FlushCursor | null> {
  return ofLog(await guarded(() => file.read()), logId);
}

export const ofLog = (cursor: FlushCursor | null, logId: string): FlushCursor | null => (cursor?.logId === logId ? cursor : null);

const withoutBodies = (state: TaskState): TaskState => changed(state, { input: undefined, result: undefined });

async function guarded<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw unavailable(error, 'custom repository');
  }
}
