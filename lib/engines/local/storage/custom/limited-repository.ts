import type { IdempotencyKey, TaskId } from '../../../../contracts/ids.js';
import type { StoredEvent } from '../../../../contracts/task-event.interface.js';
import type { EventLogEntry, TaskRepository } from '../../../../contracts/task-repository.interface.js';
import type { Task } from '../../../../contracts/task.interface.js';
import { RepositoryError } from '../../../../errors/storage.errors.js';
import { CALL_LIMIT_MS } from '../../../../repository/statement-limits.js';
import type { StorageWatch } from '../../../../repository/storage-watch.js';

/** Every unfinished task may be in one answer. */
const SCAN_LIMIT_MS = 60_000;
const CLOSE_LIMIT_MS = 5_000;

/**
 * A repository of the user's own whose questions are answered in time, or refused: it may wait for a network that went silent, throw at
 * once, or answer with no promise. Members that it does not have are not here either. `initialize` and `executeBatch` change things, so
 * that an answer which comes late counts: whoever calls them limits them.
 */
export class LimitedRepository implements TaskRepository {
  readonly findActive?: TaskRepository['findActive'];
  readonly getEventsAfter?: TaskRepository['getEventsAfter'];
  readonly list?: TaskRepository['list'];
  readonly findEnded?: TaskRepository['findEnded'];

  constructor(
    private readonly own: TaskRepository,
    private readonly watch: StorageWatch,
  ) {
    if (own.findActive !== undefined) this.findActive = (cursor, limit) => this.ask(() => own.findActive!(cursor, limit));
    if (own.getEventsAfter !== undefined)
      this.getEventsAfter = (...page) => this.askForAll('getEventsAfter', () => own.getEventsAfter!(...page));
    if (own.list !== undefined) this.list = (options) => this.ask(() => own.list!(options));
    if (own.findEnded !== undefined) this.findEnded = (before, limit) => this.askForAll('findEnded', () => own.findEnded!(before, limit));
  }

  async initialize(): Promise<void> {
    await this.own.initialize();
  }

  async executeBatch(entries: readonly EventLogEntry[]): Promise<void> {
    await this.own.executeBatch(entries);
  }

  findById(taskId: TaskId): Promise<Task | null> {
    return this.ask(() => this.own.findById(taskId));
  }

  findByIdempotencyKey(scopedKey: IdempotencyKey): Promise<Task | null> {
    return this.ask(() => this.own.findByIdempotencyKey(scopedKey));
  }

  findStaleTasks(threshold: number): Promise<Task[]> {
    return this.askForAll('findStaleTasks', () => this.own.findStaleTasks(threshold), SCAN_LIMIT_MS);
  }

  getEvents(taskId: TaskId): Promise<StoredEvent[]> {
    return this.askForAll('getEvents', () => this.own.getEvents(taskId));
  }

  healthCheck(): Promise<boolean> {
    return this.ask(() => this.own.healthCheck());
  }

  close(): Promise<void> {
    return this.ask(() => this.own.close(), CLOSE_LIMIT_MS);
  }

  private askForAll<T>(member: keyof TaskRepository, call: () => Promise<T[]>, limitMs?: number): Promise<T[]> {
    return this.ask(async () => arrayOf(member, await call()), limitMs);
  }

  private ask<T>(call: () => Promise<T>, limitMs: number = CALL_LIMIT_MS): Promise<T> {
    return this.watch.ask(limitMs, call);
  }
}

/** An answer that is none of what was asked for is no word on what there is. */
function arrayOf<T>(member: string, answer: T[]): T[] {
  if (Array.isArray(answer)) return answer;
  const got = answer === null ? 'null' : typeof answer;
  throw new RepositoryError('UNAVAILABLE', `The custom repository's ${member}() answered with ${got}, where an array is expected.`);
}
