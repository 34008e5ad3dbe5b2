import { RepositoryError } from '../../../../errors/storage.errors.js';
import { taskName, userId } from '../../../../contracts/ids.js';
import type { TaskRepository } from '../../../../contracts/task-repository.interface.js';
import type { ListOptions } from '../../../../contracts/task-system.interface.js';
import type { Task } from '../../../../contracts/task.interface.js';
import type { TaskQuery } from '../../../../contracts/task-queries.interface.js';
import type { TaskState } from '../../../../domain/task-state.js';

const PAGE_LIMIT = 200;
const MAX_REMEMBERED_PAGES = 256;

interface Position {
  readonly at: number;
  readonly id: string;
}

/** Positions on top of a repository's own, opaque page cursors: pages are walked, and where one began is remembered. */
export class CustomListing {
  /** Query and last position of a page, to the cursor of the page after it. */
  private readonly nextCursors = new Map<string, string>();

  constructor(
    private readonly repository: TaskRepository,
    private readonly stateOf: (task: Task) => TaskState,
  ) {}

  async page(query: TaskQuery): Promise<TaskState[]> {
    const page: TaskState[] = [];
    for await (const state of this.walk(query, query.after)) {
      if (page.push(state) === query.limit) break;
    }
    return page;
  }

  /** Dead letters since a time, newest first, down to a position that is not counted itself. */
  async countDeadLetters(since: number, newerThan: Position | undefined, atMost: number): Promise<number> {
    let count = 0;
    for await (const state of this.walk({ deadLetteredSince: since, limit: PAGE_LIMIT }, undefined)) {
      if (count >= atMost) break;
      if (newerThan !== undefined && !isAfter(newerThan, positionOf(state, true))) break;
      count++;
    }
    return count;
  }

  private async *walk(query: TaskQuery, after: Position | undefined): AsyncGenerator<TaskState> {
    const list = this.repository.list?.bind(this.repository);
    if (list === undefined) {
      throw new RepositoryError(
        'NOT_SUPPORTED',
        'This custom repository has no `list`: tasks and dead letters cannot be listed. Add the member to it.',
        0,
      );
    }
    const isDead = query.deadLetteredSince !== undefined;
    const filter = filterOf(query);
    const id = JSON.stringify(filter);
    let cursor = after === undefined ? undefined : this.nextCursors.get(`${id}${after.at}:${after.id}`);
    for (;;) {
      const { items, nextCursor } = await list({ ...filter, limit: PAGE_LIMIT, cursor });
      const last = items.at(-1);
      const isLastPage = nextCursor === null || last === undefined || nextCursor === cursor;
      // Before anything is handed out: whoever has enough does not come back here.
      if (!isLastPage) this.remember(`${id}${keyOf(positionOf(this.stateOf(last), isDead))}`, nextCursor);
      for (const task of items) {
        const state = this.stateOf(task);
        if (isDead && (state.deadLetteredAt === null || state.deadLetteredAt < query.deadLetteredSince!)) return;
        if (after === undefined || isAfter(positionOf(state, isDead), after)) yield state;
      }
      if (isLastPage) return;
      cursor = nextCursor;
    }
  }

  private remember(key: string, cursor: string): void {
    if (this.nextCursors.size >= MAX_REMEMBERED_PAGES) this.nextCursors.delete(this.nextCursors.keys().next().value!);
    this.nextCursors.set(key, cursor);
  }
}

function filterOf(query: TaskQuery): ListOptions {
  return {
    ...(query.userId === undefined ? {} : { userId: query.userId === null ? null : userId(query.userId) }),
    ...(query.status === undefined ? {} : { status: query.status }),
    ...(query.name === undefined ? {} : { name: taskName(query.name) }),
    ...(query.tag === undefined ? {} : { tag: query.tag }),
    ...(query.deadLetteredSince === undefined ? {} : { deadLettered: true }),
  };
}

const positionOf = (state: TaskState, isDead: boolean): Position => ({
  at: isDead ? (state.deadLetteredAt ?? 0) : state.createdAt,
  id: state.id,
});
const keyOf = (position: Position): string => `${position.at}:${position.id}`;
/** In descending order. */
const isAfter = (a: Position, b: Position): boolean => a.at < b.at || (a.at === b.at && a.id < b.id);
