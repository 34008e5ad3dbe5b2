import type { TaskPosition, TaskQuery } from '../../../../contracts/task-queries.interface.js';
import { comparePositions, matches, positionOf } from '../../../../domain/task-query.js';
import { isEnded, type TaskState } from '../../../../domain/task-state.js';
import type { QuarantinedTasks } from './quarantined-tasks.js';

type Status = 'created' | 'running' | undefined;
type Order = (a: TaskState, b: TaskState) => number;

const byCreation: Order = (a, b) => comparePositions({ at: a.createdAt, id: a.id }, { at: b.createdAt, id: b.id });

/**
 * Rows that tell the whole story, and quarantined tasks as they are, in one answer. Each question folds all that is quarantined;
 * memory stays that of a page. Nothing is quarantined: one cheap statement more.
 */
export class QuarantineMerge {
  /** The scan under way: positions of the quarantined tasks that belong to it. */
  private scan: { readonly name: string; readonly positions: readonly TaskPosition[] } | undefined;

  constructor(private readonly quarantined: QuarantinedTasks) {}

  /** Newest first. */
  list(rows: readonly TaskState[], query: TaskQuery): Promise<TaskState[]> {
    const isDue = (state: TaskState): boolean => {
      if (!matches(state, query)) return false;
      return query.after === undefined || comparePositions(positionOf(state, query), query.after) < 0;
    };
    return this.merge(rows, query.limit, isDue, (a, b) => comparePositions(positionOf(b, query), positionOf(a, query)));
  }

  /** Oldest first. */
  prunable(rows: readonly TaskState[], home: string, completedBefore: number, failedBefore: number, limit: number): Promise<TaskState[]> {
    const isDue = ({ completedAt, status, home: of }: TaskState): boolean =>
      of === home && isEnded(status) && completedAt !== null && completedAt < (status === 'failed' ? failedBefore : completedBefore);
    const endOf = ({ completedAt, id }: TaskState): TaskPosition => ({ at: completedAt ?? 0, id });
    return this.merge(rows, limit, isDue, (a, b) => comparePositions(endOf(a), endOf(b)));
  }

  /** Running elsewhere and silent, oldest first. */
  async stale(home: string, before: number, limit: number): Promise<TaskState[]> {
    return this.merge([], limit, (state) => state.status === 'running' && state.home !== home && lastSeenAt(state) < before, byCreation);
  }

  /** A page in order of creation, bodies not taken away. What a scan gives is settled when it begins, as of now when it is given. */
  async unfinished(
    rows: readonly TaskState[],
    home: string,
    status: Status,
    after: TaskPosition | null,
    limit: number,
  ): Promise<TaskState[]> {
    const name = `${status ?? ''} ${home}`;
    const isDue = (state: TaskState): boolean =>
      state.home === home && (status === undefined ? !isEnded(state.status) : state.status === status);
    if (after === null || this.scan?.name !== name) this.scan = { name, positions: await this.positions(isDue) };
    const { positions } = this.scan!;
    if (positions.length === 0) return [...rows];
    const fresh: TaskState[] = [];
    const from = after === null ? 0 : positions.findIndex((each) => comparePositions(each, after) > 0);
    // Some may have ended since the scan began: a page that is short says that nothing follows.
    for (let at = from < 0 ? positions.length : from; at < positions.length && fresh.length < limit; at += limit) {
      const ids = positions.slice(at, at + limit).map((each) => each.id);
      for (const state of (await this.quarantined.findByIds(ids)).values()) if (isDue(state)) fresh.push(state);
    }
    return pageOf(rows, fresh, byCreation, limit);
  }

  async count(isDue: (state: TaskState) => boolean, atMost = Number.POSITIVE_INFINITY): Promise<number> {
    let count = 0;
    for await (const state of this.quarantined.states()) if (isDue(state) && ++count >= atMost) break;
    return count;
  }

  async countBy(keyOf: (state: TaskState) => string | null): Promise<Map<string, number>> {
    const counts = new Map<string, number>();
    for await (const state of this.quarantined.states()) {
      const key = keyOf(state);
      if (key !== null) counts.set(key, (counts.get(key) ?? 0) + 1);
    }
    return counts;
  }

  private async merge(rows: readonly TaskState[], limit: number, isDue: (state: TaskState) => boolean, order: Order): Promise<TaskState[]> {
    let first: TaskState[] = [];
    for await (const state of this.quarantined.states()) {
      if (!isDue(state)) continue;
      first.push(state);
      if (first.length >= 2 * limit) first = first.sort(order).slice(0, limit);
    }
    return pageOf(rows, first, order, limit);
  }

  private async positions(isDue: (state: TaskState) => boolean): Promise<TaskPosition[]> {
    const positions: TaskPosition[] = [];
    for await (const state of this.quarantined.states()) if (isDue(state)) positions.push({ at: state.createdAt, id: state.id });
    return positions.sort(comparePositions);
  }
}

export const lastSeenAt = (state: TaskState): number => state.lastHeartbeatAt ?? state.startedAt ?? state.createdAt;

/** A task that was quarantined, or mended, between two statements is in both. */
function pageOf(rows: readonly TaskState[], folded: readonly TaskState[], order: Order, limit: number): TaskState[] {
  if (folded.length === 0) return [...rows];
  const known = new Set(folded.map((state) => state.id));
  return [...rows.filter((row) => !known.has(row.id)), ...folded].sort(order).slice(0, limit);
}
