import type { EventLogEntry } from '../../../lib/contracts/task-repository.interface.js';
import type { IdempotencyKey, TaskId } from '../../../lib/contracts/ids.js';
import type { StoredEvent } from '../../../lib/contracts/task-event.interface.js';
import type { ListOptions, Page } from '../../../lib/contracts/task-system.interface.js';
import type { TaskRepository } from '../../../lib/contracts/task-repository.interface.js';
import type { Task } from '../../../lib/contracts/task.interface.js';
import { MemoryTaskRepository } from './memory-task-repository.js';

/** What outlives a process: the rows, and whether the database answers. */
export class SharedRows {
  readonly rows = new MemoryTaskRepository();
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
    const tasks = await this.ask(() => this.shared.rows.findStaleTasks());
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
    return this.ask(async () =>
      [...this.shared.rows.tasks.values()]
        .filter((task) => task.completedAt !== null && task.completedAt < before)
        .sort((a, b) => a.completedAt!.getTime() - b.completedAt!.getTime())
        .slice(0, limit),
    );
  }

  async list(options: ListOptions): Promise<Page<Task>> {
    const page = await this.ask(async () => pageOf([...this.shared.rows.tasks.values()], options));
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

function pageOf(tasks: readonly Task[], options: ListOptions): Page<Task> {
  const at = (task: Task): number => (options.deadLettered === true ? task.deadLetteredAt : task.createdAt)?.getTime() ?? 0;
  const found = tasks
    .filter(
      (task) =>
        (!('userId' in options) || options.userId === task.userId) &&
        (options.status === undefined || options.status === task.status) &&
        (options.name === undefined || options.name === task.name) &&
        (options.tag === undefined || task.tags.includes(options.tag)) &&
        (options.deadLettered !== true || task.deadLetteredAt !== null),
    )
    .sort((a, b) => at(b) - at(a) || (a.id < b.id ? 1 : -1));
  const from = options.cursor === undefined ? 0 : Number(options.cursor);
  const to = from + (options.limit ?? 50);
  return { items: found.slice(from, to), nextCursor: to < found.length ? String(to) : null };
}
