import type { IdempotencyKey, TaskId } from '../../../lib/contracts/ids.js';
import type { StoredEvent } from '../../../lib/contracts/task-event.interface.js';
import type { EventLogEntry, TaskRepository } from '../../../lib/contracts/task-repository.interface.js';
import type { Task } from '../../../lib/contracts/task.interface.js';
import { isControl } from '../../../lib/domain/fold.js';
import { applyEntry, toStoredEvent } from '../../../lib/domain/task-snapshot.js';

/** The eight members, as a user would write them; every batch that came is kept. */
export class MemoryTaskRepository implements TaskRepository {
  readonly batches: (readonly EventLogEntry[])[] = [];
  readonly tasks = new Map<string, Task>();
  readonly events = new Map<string, StoredEvent[]>();
  readonly keys = new Map<string, string>();
  initialized = 0;
  closed = 0;

  async initialize(): Promise<void> {
    this.initialized++;
  }

  async executeBatch(entries: readonly EventLogEntry[]): Promise<void> {
    this.batches.push(entries);
    for (const entry of entries) this.apply(entry);
  }

  async findById(taskId: TaskId): Promise<Task | null> {
    return this.tasks.get(taskId) ?? null;
  }

  async findByIdempotencyKey(scopedKey: IdempotencyKey): Promise<Task | null> {
    return this.tasks.get(this.keys.get(scopedKey) ?? '') ?? null;
  }

  async findStaleTasks(): Promise<Task[]> {
    return [...this.tasks.values()].filter((task) => task.status === 'created' || task.status === 'running');
  }

  async getEvents(taskId: TaskId): Promise<StoredEvent[]> {
    return this.events.get(taskId) ?? [];
  }

  async healthCheck(): Promise<boolean> {
    return true;
  }

  async close(): Promise<void> {
    this.closed++;
  }

  private apply(entry: EventLogEntry): void {
    const before = this.tasks.get(entry.taskId) ?? null;
    if (before === null && isControl(entry.type)) return;
    const after = applyEntry(before, entry);
    if (after === before) return;
    if (after === null) {
      this.tasks.delete(entry.taskId);
      this.events.delete(entry.taskId);
      this.keys.delete(entry.scopedKey);
      return;
    }
    this.tasks.set(entry.taskId, after);
    this.keys.set(entry.scopedKey, entry.taskId);
    const event = toStoredEvent(entry);
    if (event !== null) this.events.set(entry.taskId, [...(this.events.get(entry.taskId) ?? []), event]);
  }
}
