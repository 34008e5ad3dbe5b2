import type { TaskQuery } from './contracts/task-queries.interface.js';
import type { ListOptions } from './contracts/task-system.interface.js';
import type { TaskStatus } from './contracts/task.interface.js';
import { type Owner, requireIdentifier } from './domain/owner.js';
import { ValidationError } from './errors/request.errors.js';

export const FILTER_OPTIONS = ['status', 'name', 'tag'] as const satisfies readonly (keyof ListOptions)[];
const STATUSES: readonly TaskStatus[] = ['created', 'running', 'completed', 'failed', 'cancelled'];

/** @throws ValidationError naming the field. */
export function taskFilterOf(
  { status, name, tag }: Pick<ListOptions, (typeof FILTER_OPTIONS)[number]>,
  owner: Owner,
): Pick<TaskQuery, 'userId' | 'status' | 'name' | 'tag'> {
  if (status !== undefined && !STATUSES.includes(status)) throw new ValidationError('status', `must be one of ${STATUSES.join(', ')}`);
  return {
    ...(owner === undefined ? {} : { userId: owner }),
    ...(status === undefined ? {} : { status }),
    ...(name === undefined ? {} : { name: requireIdentifier('name', name) }),
    ...(tag === undefined ? {} : { tag: requireIdentifier('tag', tag) }),
  };
}
