import type { EventLogEntry } from '../../../lib/contracts/task-repository.interface.js';
import type { IdempotencyKey, TaskId } from '../../../lib/contracts/ids.js';
import type { StoredEvent } from '../../../lib/contracts/task-event.interface.js';
import type { ListOptions, Page } from '../../../lib/contracts/task-system.interface.js';
import type { TaskRepository } from '../../../lib/contracts/task-repository.interface.js';
import type { Task } from '../../../lib/contracts/task.interface.js';
import { ListedTaskRepository } from '../../../lib/testing/rows/listed-task-repository.js';

/** What outlives a process: the rows, and whether the database answers. */
export class SharedRows {
  readonly rows = new ListedTaskRepository(Date.now);
  isAway = false;
  /** It neither answers nor fails. */
  isSilent = false;
  /** Calls that got no answer. */
  unanswered = 0;
  /** Called between the moment at which a list was read and the one at which its answer arrives. */
  onListed: (() => Promise<void>) | undefined;
  /** The same, of the unfinished tasks. */
  onUnfinished: (() => Promise<void>) | undefined;
}

/** One process's connection to the rows. A dead process gets no answers and changes nothing. */
export class SwitchableRepository implements TaskRepository {
  isDead = false;
  /** Calls that failed because the database was away. */
  refused = 0;

  constructor(private readonly shared: SharedRows) {}

  initialize(): Promise<void> {
    return this.ask(() => this.shared.rows.initialize());
  }
  executeBatch(entries: readonly EventLogEntry[]): Promise<void> {
    return this.ask(() => this.shared.rows.executeBatch(entries));
  }
  findById(taskId: TaskId): Promise<Task | null> {
    return this.ask(() => this.shared.rows.findById(taskId));
  }
  findByIdempotencyKey(key: IdempotencyKey): Promise<Task | null> {
    return this.ask(() => this.shared.rows.findByIdempotencyKey(key));
  }
  async findStaleTasks(): Promise<Task[]> {
    const tasks = await this.ask(() => this.shared.rows.findStaleTasks(0));
    await this.shared.onUnfinished?.();
    return tasks;
  }
  getEvents(taskId: TaskId): Promise<StoredEvent[]> {
    return this.ask(() => this.shared.rows.getEvents(taskId));
  }
  async healthCheck(): Promise<boolean> {
    return !this.shared.isAway;
  }
  async close(): Promise<void> {}

  findEnded(before: Date, limit: number): Promise<Task[]> {
    return this.ask(() => this.shared.rows.findEnded(before, limit));
  }

  async list(options: ListOptions): Promise<Page<Task>> {
    const page = await this.ask(() => this.shared.rows.list(options));
    await this.shared.onListed?.();
    return page;
  }

  private ask<T>(work: () => Promise<T>): Promise<T> {
    if (this.isDead) return new Promise(() => {});
    if (this.shared.isSilent) {
      this.shared.unanswered++;
      return new Promise(() => {});
    }
    if (this.shared.isAway) {
      this.refused++;
      return Promise.reject(new Error('connect ECONNREFUSED'));
    }
    return work();
  }
}
