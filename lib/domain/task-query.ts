import type { TaskPosition, TaskQuery } from '../contracts/task-queries.interface.js';
import type { TaskState } from './task-state.js';

/** Lists run from the newest to the oldest: by creation, dead letters by when they died. */
export function positionOf(state: TaskState, query: Pick<TaskQuery, 'deadLetteredSince'>): TaskPosition {
  return { at: query.deadLetteredSince === undefined ? state.createdAt : (state.deadLetteredAt ?? 0), id: state.id };
}

/** Whether a list shows the task, on whatever page. */
export function matches(state: TaskState, query: Omit<TaskQuery, 'limit' | 'after'>): boolean {
  return (
    (query.userId === undefined || query.userId === state.userId) &&
    (query.status === undefined || query.status === state.status) &&
    (query.name === undefined || query.name === state.name) &&
    (query.tag === undefined || state.tags.includes(query.tag)) &&
    (query.deadLetteredSince === undefined ||
      (state.status === 'failed' && state.deadLetteredAt !== null && state.deadLetteredAt >= query.deadLetteredSince))
  );
}

/** Ascending. */
export const comparePositions = (a: TaskPosition, b: TaskPosition): number => a.at - b.at || (a.id < b.id ? -1 : a.id > b.id ? 1 : 0);
