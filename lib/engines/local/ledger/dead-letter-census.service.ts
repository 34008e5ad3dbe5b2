import type { TaskStore } from '../../../contracts/task-store.interface.js';
import { comparePositions, matches, positionOf } from '../../../domain/task-query.js';
import type { TaskState } from '../../../domain/task-state.js';
import { Overlay } from './overlay.js';
import type { TaskHead } from './task-head.js';

/** Ids per statement. */
const MAX_BATCH = 256;
/** How often a count starts over because a flush moved what it was counting. Each one is a race lost. */
const MAX_RACES = 10;

/** How many dead letters there are, and where one of them stands: rows with the overlay laid over them. */
export class DeadLetterCensus {
  constructor(
    private readonly overlay: Overlay,
    private readonly store: TaskStore,
  ) {}

  /** Those that died at or after `deadLetteredSince`; `atMost` when there are more. @throws RepositoryError when the database did not answer. */
  async count(deadLetteredSince: number, atMost: number): Promise<number> {
    const isCounted = (state: TaskState): boolean => matches(state, { deadLetteredSince });
    const count = await this.counted(isCounted, atMost, (changed) => this.store.countDeadLetters(deadLetteredSince, atMost + changed));
    return Math.min(count, atMost);
  }

  /** Whether fewer than `size` of them are newer. @throws RepositoryError when the database did not answer. */
  async isAmongNewest(dead: TaskState, deadLetteredSince: number, size: number): Promise<boolean> {
    const query = { deadLetteredSince };
    const position = positionOf(dead, query);
    const isNewer = (state: TaskState): boolean => matches(state, query) && comparePositions(positionOf(state, query), position) > 0;
    // The end of a queue that is not full is far away: then rows alone decide.
    const isFar = (rows: number, changed: number): boolean => rows + changed < size || rows - changed >= size;
    return (await this.counted(isNewer, size, () => this.store.deadLetterRank(deadLetteredSince, position), isFar)) < size;
  }

  /**
   * @param enough when memory alone knows of so many, nothing is asked: a backlog of failures is not read row by row.
   * @param isFar whether the count of rows will do, whatever those tasks are of which memory knows more.
   */
  private async counted(
    isCounted: (state: TaskState) => boolean,
    enough: number,
    countRows: (changed: number) => Promise<number>,
    isFar: (rows: number, changed: number) => boolean = () => false,
  ): Promise<number> {
    for (let race = 0; ; race++) {
      const { flushedSeq } = this.overlay;
      const changed = [...this.overlay.values()].filter(mayHaveDied);
      const known = changed.filter(({ durable }) => durable !== null && isCounted(durable)).length;
      if (known >= enough) return known;
      const rows = await countRows(changed.length);
      if (isFar(rows, changed.length)) return rows;
      const overtaken = await this.rowsOf(changed);
      if (this.overlay.flushedSeq !== flushedSeq && race < MAX_RACES) continue;
      return rows - overtaken.filter(isCounted).length + known;
    }
  }

  private async rowsOf(heads: readonly TaskHead[]): Promise<TaskState[]> {
    const rows: TaskState[] = [];
    for (let at = 0; at < heads.length; at += MAX_BATCH) {
      const found = await this.store.findByIds(heads.slice(at, at + MAX_BATCH).map(({ id }) => id));
      rows.push(...found.values());
    }
    return rows;
  }
}

/** Its row may be a dead letter that it no longer is, or the other way round: it failed, was retried by hand, or was pruned. */
const mayHaveDied = ({ durable, lastLogSeq }: TaskHead): boolean =>
  durable === null ? lastLogSeq > 0 : durable.status === 'failed' || durable.life > 1;
