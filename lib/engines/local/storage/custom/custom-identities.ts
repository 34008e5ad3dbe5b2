import { taskName, userId } from '../../../../contracts/ids.js';
import type { LogEntry } from '../../../../contracts/log-entry.interface.js';
import type { EventLogEntry, TaskRepository } from '../../../../contracts/task-repository.interface.js';
import { scopedKey } from '../../../../domain/task-key.js';
import type { CreatedData } from '../../../../domain/task-state.js';

export type TaskIdentity = Pick<EventLogEntry, 'name' | 'userId' | 'scopedKey'>;

const MAX_REMEMBERED_TASKS = 10_000;

/** Name, owner and key of tasks: the log says them once, in `created`, and a custom repository is told them with every entry. */
export class CustomIdentities {
  private readonly known = new Map<string, TaskIdentity>();

  constructor(private readonly repository: TaskRepository) {}

  /** Null when the repository has no such task. */
  async of(entry: LogEntry): Promise<TaskIdentity | null> {
    let identity = this.known.get(entry.taskId);
    if (identity !== undefined) return identity;
    identity = entry.type === 'created' ? createdIdentity(entry) : await this.stored(entry);
    if (identity === undefined) return null;
    if (this.known.size >= MAX_REMEMBERED_TASKS) this.known.delete(this.known.keys().next().value!);
    this.known.set(entry.taskId, identity);
    return identity;
  }

  forget(taskId: string): void {
    this.known.delete(taskId);
  }

  private async stored(entry: LogEntry): Promise<TaskIdentity | undefined> {
    const task = await this.repository.findById(entry.taskId);
    if (task === null || task === undefined) return undefined;
    const key = (task.idempotencyKey as string) === (task.id as string) ? null : task.idempotencyKey;
    return { name: task.name, userId: task.userId, scopedKey: scopedKey(task.id, task.userId, key) };
  }
}

function createdIdentity(entry: LogEntry): TaskIdentity {
  const data = entry.data as unknown as CreatedData;
  const owner = data.userId ?? null;
  return {
    name: taskName(data.name),
    userId: owner === null ? null : userId(owner),
    scopedKey: scopedKey(entry.taskId, owner, data.key ?? null),
  };
}
