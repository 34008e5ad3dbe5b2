import { taskName, userId } from '../../../../contracts/ids.js';
import type { LogEntry } from '../../../../contracts/log-entry.interface.js';
import type { EventLogEntry, TaskRepository } from '../../../../contracts/task-repository.interface.js';
import { supersededByOf } from '../../../../domain/fold.js';
import { scopedKey } from '../../../../domain/task-key.js';
import type { CreatedData } from '../../../../domain/task-state.js';
import type { GivenTask } from './lost-entries.js';

export type TaskIdentity = Pick<EventLogEntry, 'name' | 'userId' | 'scopedKey'>;

export interface KnownTask extends GivenTask {
  readonly identity: TaskIdentity;
}

const MAX_REMEMBERED_TASKS = 10_000;

/**
 * Name, owner and key of tasks: the log says them once, in `created`, and a custom repository is told them with every entry. And how far
 * each task was given to it.
 */
export class CustomIdentities {
  private readonly known = new Map<string, KnownTask>();

  constructor(private readonly repository: TaskRepository) {}

  /** Null when the repository has no such task. */
  async of(entry: LogEntry): Promise<KnownTask | null> {
    const known = await this.knownBy(entry);
    if (known === null || supersededByOf(entry.data) === undefined) return known;
    // Its key belongs to the task that the next entry creates: from here on it is stored under its id, as one without a key.
    const { identity } = known;
    const keyless: KnownTask = { ...known, identity: { ...identity, scopedKey: scopedKey(entry.taskId, identity.userId, null) } };
    this.known.set(entry.taskId, keyless);
    return keyless;
  }

  private async knownBy(entry: LogEntry): Promise<KnownTask | null> {
    let known = this.known.get(entry.taskId);
    if (known !== undefined) return known;
    known = entry.type === 'created' ? { identity: createdIdentity(entry), lastSeq: 0, fence: 0 } : await this.stored(entry);
    if (known === undefined) return null;
    if (this.known.size >= MAX_REMEMBERED_TASKS) this.known.delete(this.known.keys().next().value!);
    this.known.set(entry.taskId, known);
    return known;
  }

  forget(taskId: string): void {
    this.known.delete(taskId);
  }

  /** A batch was not taken: how far the repository is, it has to say again. */
  forgetAll(): void {
    this.known.clear();
  }

  private async stored(entry: LogEntry): Promise<KnownTask | undefined> {
    const task = await this.repository.findById(entry.taskId);
    if (task === null || task === undefined) return undefined;
    const isKeyless = (task.idempotencyKey as string) === (task.id as string) || task.supersededBy !== undefined;
    const key = isKeyless ? null : task.idempotencyKey;
    const identity = { name: task.name, userId: task.userId, scopedKey: scopedKey(task.id, task.userId, key) };
    return { identity, lastSeq: task.lastSeq, fence: task.fence };
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
