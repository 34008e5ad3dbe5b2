import type { IdempotencyKey, TaskId } from '../../contracts/ids.js';
import type { StoredEvent } from '../../contracts/task-event.interface.js';
import type { EventLogEntry, TaskRepository } from '../../contracts/task-repository.interface.js';
import type { Task } from '../../contracts/task.interface.js';
import { isControl } from '../../domain/entry-types.js';
import { applyEntry, toStoredEvent } from '../../domain/task-snapshot.js';

/** A repository in memory: the eight members. */
export class MemoryTaskRepository implements TaskRepository {
  readonly tasks = new Map<string, Task>();
  readonly events = new Map<string, StoredEvent[]>();
  readonly keys = new Map<string, string>();

  constructor(private readonly now: () => number) {}

  async initialize(): Promise<void> {}

  async executeBatch(entries: readonly EventLogEntry[]): Promise<void> {
    for (const entry of entries) this.apply(entry);
  }

  async findById(taskId: TaskId): Promise<Task | null> {
    return this.tasks.get(taskId) ?? null;
  }

  async findByIdempotencyKey(scopedKey: IdempotencyKey): Promise<Task | null> {
    return this.tasks.get(this.keys.get(scopedKey) ?? '') ?? null;
  }

  async findStaleTasks(threshold: number): Promise<Task[]> {
    const unfinished = [...this.tasks.values()].filter(({ status }) => status === 'created' || status === 'running');
    if (threshold === 0) return unfinished;
    const before = this.now() - threshold;
    return unfinished.filter((task) => (task.lastHeartbeatAt ?? task.createdAt).getTime() <= before);
  }

  async getEvents(taskId: TaskId): Promise<StoredEvent[]> {
    return [...(this.events.get(taskId) ?? [])];
  }

  async healthCheck(): Promise<boolean> {
    return true;
  }

  async close(): Promise<void> {}

  private apply(entry: EventLogEntry): void {
    const before = this.tasks.get(entry.taskId) ?? null;
    if (before === null && isControl(entry.type)) return;
    const after = applyEntry(before, entry);
    if (after === before) return;
    if (after === null) return this.remove(entry);
    this.tasks.set(entry.taskId, after);
    this.keys.set(entry.scopedKey, entry.taskId);
    const event = toStoredEvent(entry);
    if (event !== null) this.events.set(entry.taskId, [...(this.events.get(entry.taskId) ?? []), event]);
  }

  private remove({ taskId, scopedKey }: EventLogEntry): void {
    this.tasks.delete(taskId);
    this.events.delete(taskId);
    if (this.keys.get(scopedKey) === (taskId as string)) this.keys.delete(scopedKey);
  }
}
