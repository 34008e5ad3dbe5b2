import type { TaskId } from '../../contracts/ids.js';
import type { StoredEvent } from '../../contracts/task-event.interface.js';
import type { ListOptions, Page } from '../../contracts/task-system.interface.js';
import type { Task } from '../../contracts/task.interface.js';
import { MemoryTaskRepository } from './memory-task-repository.js';

const DEFAULT_PAGE = 50;

/** The same with every refinement: what the testing kit keeps rows in. It outlives the lives of a process that crashes. */
export class ListedTaskRepository extends MemoryTaskRepository {
  async getEventsAfter(taskId: TaskId, afterSeq: number, limit: number): Promise<StoredEvent[]> {
    return (this.events.get(taskId) ?? []).filter(({ seq }) => seq > afterSeq).slice(0, limit);
  }

  async findEnded(before: Date, limit: number): Promise<Task[]> {
    return [...this.tasks.values()]
      .filter(({ completedAt }) => completedAt !== null && completedAt < before)
      .sort((a, b) => a.completedAt!.getTime() - b.completedAt!.getTime() || (a.id < b.id ? -1 : 1))
      .slice(0, limit);
  }

  async list(options: ListOptions): Promise<Page<Task>> {
    const isDead = options.deadLettered === true;
    const at = (task: Task): number => (isDead ? task.deadLetteredAt : task.createdAt)?.getTime() ?? 0;
    const isBefore = (a: Task, b: { at: number; id: string }): boolean => at(a) < b.at || (at(a) === b.at && a.id < b.id);
    const after = options.cursor === undefined ? undefined : (JSON.parse(options.cursor) as { at: number; id: string });
    const found = [...this.tasks.values()]
      .filter((task) => matches(task, options) && (after === undefined || isBefore(task, after)))
      .sort((a, b) => (isBefore(a, { at: at(b), id: b.id }) ? 1 : -1));
    const items = found.slice(0, options.limit ?? DEFAULT_PAGE);
    const last = items.at(-1);
    const isLastPage = last === undefined || items.length === found.length;
    return { items, nextCursor: isLastPage ? null : JSON.stringify({ at: at(last), id: last.id }) };
  }
}

const matches = (task: Task, { status, name, tag, deadLettered, ...owner }: ListOptions): boolean =>
  (!('userId' in owner) || owner.userId === task.userId) &&
  (status === undefined || status === task.status) &&
  (name === undefined || name === task.name) &&
  (tag === undefined || task.tags.includes(tag)) &&
  (deadLettered !== true || task.deadLetteredAt !== null);
