import { Inject, Injectable } from '@nestjs/common';
import { TASK_QUERIES } from '../config/taskflow.tokens.js';
import type { TaskId } from '../contracts/ids.js';
import type { TaskQueries } from '../contracts/task-queries.interface.js';
import type { TaskRef } from '../contracts/task-system.interface.js';
import { mayKnow, type Owner, requireIdentifier } from '../domain/owner.js';
import { scopedKey } from '../domain/task-key.js';
import type { TaskState } from '../domain/task-state.js';
import { NotFoundError, ValidationError } from '../errors/request.errors.js';

/** From what a caller has in hand to the task, if the caller may know of it. Somebody else's task is a plain miss. */
@Injectable()
export class TaskResolver {
  constructor(@Inject(TASK_QUERIES) private readonly tasks: TaskQueries) {}

  /** @throws ValidationError for a reference that cannot be one; RepositoryError when the answer cannot be known. */
  async find(ref: TaskRef, owner: Owner): Promise<TaskState | null> {
    if (typeof ref !== 'string') return this.tasks.find(idOf(ref), owner);
    const state = await this.byKey(requireIdentifier('key', ref), owner);
    return state !== null && mayKnow(owner, state.userId) ? state : null;
  }

  /** @throws NotFoundError where `find` gives null. */
  async require(ref: TaskRef, owner: Owner): Promise<TaskState> {
    const state = await this.find(ref, owner);
    if (state === null) throw new NotFoundError();
    return state;
  }

  /** As `require`, for callers that need no bodies: what memory knows asks nothing of disk and database. */
  async locate(ref: TaskRef, owner: Owner): Promise<TaskState> {
    if (typeof ref === 'string') return this.require(ref, owner);
    const state = await this.tasks.peek(idOf(ref), owner);
    if (state === null) throw new NotFoundError();
    return state;
  }

  /** A bare key: the caller's own chosen one, else a generated one, which is a task id. Both are looked up, hit or miss. */
  private async byKey(key: string, owner: Owner): Promise<TaskState | null> {
    const [chosen, generated] = await Promise.all([
      this.tasks.findByKey(scopedKey('' as TaskId, owner ?? null, key)),
      this.tasks.find(key as TaskId, owner),
    ]);
    if (chosen !== null) return chosen;
    return generated?.key === null ? generated : null;
  }
}

function idOf(ref: Exclude<TaskRef, string>): TaskId {
  if (typeof ref !== 'object' || ref === null) throw new ValidationError('ref', 'must be a key, a task, an event, or { taskId }');
  const field = 'taskId' in ref ? 'taskId' : 'id';
  return requireIdentifier(field, (ref as Record<string, unknown>)[field]) as TaskId;
}
