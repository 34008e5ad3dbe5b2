import { foldOverHole } from '../../../../domain/fold.js';
import type { TaskState } from '../../../../domain/task-state.js';
import { RepositoryError } from '../../../../errors/storage.errors.js';
import { deadEntriesOf, deadRunsOf, type DeadRun, quarantinedAfter } from './dead-entry-rows.js';
import { inChunks } from '../../../../repository/multi-row.js';
import type { RowReader } from '../../../../repository/sql-session.interface.js';
import { stateOfRow, taskColumns } from '../../../../repository/task-row.mapper.js';

/** Tasks that are folded in one go by `states`. */
const PAGE = 100;
/** How often a read starts over because a flush, or a repair, moved what it was reading. Each one is a race lost. */
const MAX_RACES = 10;

/** Condition on a task row (alias `t`): it tells the whole story of its task. */
export const isWhole = (session: RowReader): string =>
  `NOT EXISTS (SELECT 1 FROM ${session.tables.deadEntries} AS d WHERE d."task_id" = t."id")`;
/** The opposite, as a column. */
export const quarantinedColumn = (session: RowReader, id = 't."id"'): string =>
  `EXISTS (SELECT 1 FROM ${session.tables.deadEntries} AS d WHERE d."task_id" = ${id}) AS quarantined`;

/**
 * Tasks as they are, dead entries counted in: what the log said of them happened, whether the tables took it or not.
 * Costs one statement as long as nothing is dead; then two or more for each quarantined task that is asked for.
 */
export class QuarantinedTasks {
  constructor(private readonly session: RowReader) {}

  /** With bodies. */
  async findByIds(ids: readonly string[]): Promise<Map<string, TaskState>> {
    const found = new Map<string, TaskState>();
    let open = ids;
    for (let race = 0; open.length > 0; race++) {
      if (race === MAX_RACES) throw new RepositoryError('UNAVAILABLE', 'Tasks could not be read: their entries keep moving.');
      open = await this.read(open, found);
    }
    return found;
  }

  /** All of them, with bodies, in the order of their ids. Costs as much as there are: a broken schema is to be mended, not lived with. */
  async *states(): AsyncGenerator<TaskState> {
    for (let after = ''; ;) {
      const ids = await quarantinedAfter(this.session, after, PAGE);
      if (ids.length === 0) return;
      yield* (await this.findByIds(ids)).values();
      if (ids.length < PAGE) return;
      after = ids.at(-1)!;
    }
  }

  /**
   * One statement says of each id whether it has a row, and whether anything of it is dead: so a task that is there, and may be somebody
   * else's, costs what one costs that never was.
   * @returns those that must be read again.
   */
  private async read(ids: readonly string[], found: Map<string, TaskState>): Promise<string[]> {
    const stale = new Map<string, TaskState>();
    const suspects: string[] = [];
    const { dialect, tables } = this.session;
    await inChunks(this.session, ids, async (_inside, values, table) => {
      const sql =
        `SELECT w.wanted, t."id" IS NOT NULL AS known, ${quarantinedColumn(this.session, 'w.wanted')}, ${taskColumns(dialect)}` +
        ` FROM (${table}) AS w LEFT JOIN ${tables.tasks} AS t ON t."id" = w.wanted`;
      for (const row of await this.session.rows(sql, values)) {
        const id = row['wanted'] as string;
        if (row['quarantined']) suspects.push(id);
        if (row['known']) (row['quarantined'] ? stale : found).set(id, stateOfRow(row));
      }
    });
    return suspects.length === 0 ? [] : this.foldOnto(stale, suspects, found);
  }

  private async foldOnto(
    stale: ReadonlyMap<string, TaskState>,
    suspects: readonly string[],
    found: Map<string, TaskState>,
  ): Promise<string[]> {
    const { runs, withRow } = await deadRunsOf(this.session, suspects);
    const again: string[] = [];
    for (const id of suspects) {
      const row = stale.get(id) ?? null;
      const dead = runs.get(id);
      if (row === null ? withRow.has(id) : dead === undefined) again.push(id);
      else if (dead !== undefined) {
        const outcome = await this.foldRuns(row, id, dead);
        if (outcome === undefined) again.push(id);
        else if (outcome !== null) found.set(id, outcome);
      }
    }
    return again;
  }

  /** Undefined: entries went while they were read. */
  private async foldRuns(row: TaskState | null, id: string, runs: readonly DeadRun[]): Promise<TaskState | null | undefined> {
    let state = row;
    for (const run of runs) {
      let seen = 0;
      for await (const entry of deadEntriesOf(this.session, id, run)) {
        seen++;
        state = foldOverHole(state, entry, run.logId);
      }
      if (seen < run.eventful) return undefined;
    }
    return state;
  }
}
