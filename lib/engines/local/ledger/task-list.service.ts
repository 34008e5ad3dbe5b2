import type { TaskPage, TaskPosition, TaskQuery } from '../../../contracts/task-queries.interface.js';
import type { TaskStore } from '../../../contracts/task-store.interface.js';
import { comparePositions, matches, positionOf } from '../../../domain/task-query.js';
import type { TaskState } from '../../../domain/task-state.js';
import { Overlay } from './overlay.js';
import { TaskReader } from './task-reader.service.js';

/** Pages over rows with the overlay laid over them: what is not flushed yet is listed too, as it is now. */
export class TaskList {
  constructor(
    private readonly overlay: Overlay,
    private readonly reader: TaskReader,
    private readonly store: TaskStore,
  ) {}

  /** @throws RepositoryError when the database did not answer, or cannot list. */
  async page(query: TaskQuery): Promise<TaskPage> {
    this.reader.requireResolved();
    // Looked at before the rows are read, and after: what is flushed meanwhile is in neither, were it looked at once.
    const before = this.resident(query);
    const flushedBefore = this.overlay.flushedSeq;
    // One more than is shown: whether there is a next page, only a row of it can tell.
    const asked = query.limit + 1;
    const rows = await this.store.list({ ...query, limit: asked });
    // Rows of before a flush, and no longer what memory knows of their tasks: they are read once more.
    const isFlushed = this.overlay.flushedSeq !== flushedBefore;
    const end = rows.length === asked ? positionOf(rows[rows.length - 1]!, query) : null;
    const found = new Map<string, TaskState>();
    const fresh = new Set<string>();
    for (const row of rows) {
      if (this.overlay.get(row.id) !== undefined) continue;
      found.set(row.id, row);
      if (isFlushed) fresh.add(row.id);
    }
    for (const state of [...before.filter(({ id }) => this.overlay.get(id) === undefined), ...this.resident(query)]) {
      if (!within(positionOf(state, query), query.after, end)) continue;
      found.set(state.id, state);
      fresh.add(state.id);
    }
    const sorted = [...found.values()].sort((a, b) => comparePositions(positionOf(b, query), positionOf(a, query)));
    const cut = sorted.slice(0, query.limit);
    return {
      items: await this.loaded(cut, fresh, query),
      next: sorted.length > cut.length ? positionOf(cut[cut.length - 1]!, query) : end,
    };
  }

  private resident(query: TaskQuery): TaskState[] {
    const states: TaskState[] = [];
    for (const { durable } of this.overlay.values()) if (durable !== null && matches(durable, query)) states.push(durable);
    return states;
  }

  /** The page's tasks; those that may have changed while the rows were read as they are now, with their bodies. */
  private async loaded(page: readonly TaskState[], fresh: ReadonlySet<string>, query: TaskQuery): Promise<TaskState[]> {
    const states = await this.reader.loadAll(page.filter(({ id }) => fresh.has(id)).map(({ id }) => id));
    const newest = new Map(states.filter((state) => matches(state, query)).map((state) => [state.id, state]));
    return page.map((state) => (fresh.has(state.id) ? newest.get(state.id) : state)).filter((state) => state !== undefined);
  }
}

const within = (position: TaskPosition, after: TaskPosition | undefined, end: TaskPosition | null): boolean =>
  (after === undefined || comparePositions(position, after) < 0) && (end === null || comparePositions(position, end) >= 0);
