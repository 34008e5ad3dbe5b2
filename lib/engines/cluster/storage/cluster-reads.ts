import { type TaskId, taskId } from '../../../contracts/ids.js';
import type { StoredEntry } from '../../../contracts/task-history.interface.js';
import type { TaskPosition, TaskQuery } from '../../../contracts/task-queries.interface.js';
import { keyHash } from '../../../domain/task-key.js';
import type { TaskState } from '../../../domain/task-state.js';
import { unavailable } from '../../../repository/database-errors.js';
import { DatabaseConnection } from '../../../repository/database.connection.js';
import { type DatabaseTarget, describeTarget } from '../../../repository/database-target.js';
import { POSTGRES } from '../../../repository/dialect.js';
import type { DatabasePorts } from '../../../repository/repository.ports.js';
import type { SqlRow } from '../../../repository/sql-session.interface.js';
import { CALL_LIMIT_MS } from '../../../repository/statement-limits.js';
import { StorageWatch } from '../../../repository/storage-watch.js';
import { type ClusterNames, clusterNames } from './cluster-names.js';
import { BASE_SCHEMA } from './migrations/cluster.migrations.js';
import { entriesOfRow, type FollowedEntries } from './packed-entries.js';
import { heldSelection, placesOf, stateOfHeldRow } from './task-places.js';

/** What one answer holds of a followed task: whoever is further behind is given the rest by the next one. */
const MOST_ENTRIES_PER_TASK = 100;

/** What waits and runs over all nodes. `ready` and `delayed` stop at 1,000,000. */
export interface QueueSizes {
  readonly ready: number;
  readonly delayed: number;
  readonly runs: number;
  /** Ready tasks by handler name, for names that are asked for; others are `parked`. */
  readonly parked: number;
}

/** Plain questions, over a small pool of connections. All of committed rows. Every rejection is a RepositoryError. */
export class ClusterReads {
  private readonly connection: DatabaseConnection;
  private readonly watch: StorageWatch;
  private readonly names: ClusterNames;

  constructor(
    private readonly target: DatabaseTarget,
    ports: DatabasePorts,
  ) {
    this.connection = new DatabaseConnection(target, 'reader', ports, BASE_SCHEMA);
    this.watch = new StorageWatch(ports.clock, describeTarget(target), ports.onSilence);
    this.names = clusterNames(target.kind === 'postgres' ? target.schema : undefined);
  }

  open(): Promise<void> {
    return this.guarded(() => this.connection.open());
  }

  /** After a failover: what stands leads to the wrong server. */
  abandon(): void {
    this.connection.leave();
  }

  close(): Promise<void> {
    return this.connection.close();
  }

  async findByIds(ids: readonly string[], withBodies: boolean): Promise<Map<TaskId, TaskState>> {
    const rows = await this.rows(`${this.selection(withBodies)} WHERE t."id" = ANY (?::text[])`, [ids]);
    return new Map(rows.map(stateOfHeldRow).map((state) => [state.id, state]));
  }

  /** Who holds the key now, with bodies. @param scopedKey of a chosen key, or the id itself where none was chosen. */
  async findByKey(scopedKey: string): Promise<TaskState | null> {
    if (!scopedKey.includes(':')) {
      const state = (await this.findByIds([scopedKey], true)).get(taskId(scopedKey));
      return state?.key === null ? state : null;
    }
    const [row] = await this.rows(`${this.selection(true)} WHERE t."key_hash" = ?`, [keyHash(scopedKey)]);
    return row === undefined ? null : stateOfHeldRow(row);
  }

  async entriesAfter(id: string, afterSeq: number, limit: number): Promise<StoredEntry[]> {
    const sql = `SELECT "seq", "n", "type", "at", "attempt", "fence", "data" FROM ${this.names.events} WHERE "task_id" = ? AND "seq" > ? ORDER BY "seq" LIMIT ?`;
    return entriesAfter(await this.rows(sql, [id, afterSeq, limit]), afterSeq).slice(0, limit);
  }

  /** What is new of many tasks, in one statement. Tasks without anything new are left out. */
  async follow(positions: ReadonlyMap<TaskId, number>): Promise<FollowedEntries[]> {
    const sql =
      'SELECT f."id", e.* FROM unnest(?::text[], ?::bigint[]) AS f("id", "after") CROSS JOIN LATERAL (SELECT "seq", "n", "type", "at", "attempt",' +
      ` "fence", "data" FROM ${this.names.events} WHERE "task_id" = f."id" AND "seq" > f."after" ORDER BY "seq" LIMIT ${MOST_ENTRIES_PER_TASK}) AS e`;
    const rowsById = new Map<string, SqlRow[]>();
    for (const row of await this.rows(sql, [[...positions.keys()], [...positions.values()]])) {
      const known = rowsById.get(row['id'] as string);
      if (known === undefined) rowsById.set(row['id'] as string, [row]);
      else known.push(row);
    }
    return [...rowsById].map(([id, rows]) => ({ id: taskId(id), entries: entriesAfter(rows, positions.get(taskId(id))!) }));
  }

  /** Newest first: by (createdAt, id), dead letters by (deadLetteredAt, id). With bodies. */
  async page(query: TaskQuery): Promise<TaskState[]> {
    const { conditions, parameters, orderBy } = pageConditions(query);
    const where = conditions.length === 0 ? '' : ` WHERE ${conditions.join(' AND ')}`;
    const rows = await this.rows(`${this.selection(true)}${where} ORDER BY t."${orderBy}" DESC, t."id" DESC LIMIT ?`, [
      ...parameters,
      query.limit,
    ]);
    return rows.map(stateOfHeldRow);
  }

  countDeadLetters(since: number, atMost: number): Promise<number> {
    return this.count(`SELECT FROM ${this.names.tasks} WHERE "dead_lettered_at" >= ? LIMIT ?`, [since, atMost]);
  }

  /** Dead letters that are newer than this position, up to `atMost`. */
  deadLetterRank(since: number, { at, id }: TaskPosition, atMost: number): Promise<number> {
    const sql = `SELECT FROM ${this.names.tasks} WHERE "dead_lettered_at" >= ? AND ("dead_lettered_at", "id") > (?, ?) LIMIT ?`;
    return this.count(sql, [since, at, id, atMost]);
  }

  /** Ended tasks of this home that retention may take, oldest first, without bodies. */
  async prunable(home: string, completedBefore: number, failedBefore: number, limit: number): Promise<TaskState[]> {
    const sql =
      `${this.selection(false)} WHERE t."home" = ? AND t."completed_at" < ? AND ((t."status" IN ('completed', 'cancelled')` +
      ` AND t."completed_at" < ?) OR (t."status" = 'failed' AND t."completed_at" < ?)) ORDER BY t."completed_at", t."id" LIMIT ?`;
    const rows = await this.rows(sql, [home, Math.max(completedBefore, failedBefore), completedBefore, failedBefore, limit]);
    return rows.map(stateOfHeldRow);
  }

  /** Waiting tasks whose time to start has passed, without bodies. */
  async expired(now: number, limit: number): Promise<TaskState[]> {
    const ids = `SELECT "task_id" FROM ${this.names.queue} WHERE "expires_at" <= ? ORDER BY "expires_at" LIMIT ?`;
    return (await this.rows(`${this.selection(false)} WHERE t."id" IN (${ids})`, [now, limit])).map(stateOfHeldRow);
  }

  /** @param handlers names that some member has. */
  async sizes(handlers: readonly string[]): Promise<QueueSizes> {
    const { queue, runs } = this.names;
    const upTo = (condition: string): string => `(SELECT count(*) FROM (SELECT FROM ${queue} WHERE ${condition} LIMIT 1000000) AS q)`;
    const sql =
      `SELECT ${upTo('"due_at" IS NULL')} AS ready, ${upTo('"due_at" IS NOT NULL')} AS delayed, (SELECT count(*) FROM ${runs}) AS runs,` +
      ` ${upTo('"due_at" IS NULL AND "name" <> ALL (?::text[])')} AS parked`;
    const row = (await this.rows(sql, [handlers]))[0]!;
    const number = (name: string): number => Number(row[name]);
    return { ready: number('ready'), delayed: number('delayed'), runs: number('runs'), parked: number('parked') };
  }

  private selection(withBodies: boolean): string {
    return `SELECT ${heldSelection(this.names, withBodies)} FROM ${placesOf(this.names)}`;
  }

  private async count(rows: string, parameters: readonly unknown[]): Promise<number> {
    return Number((await this.rows(`SELECT count(*) AS n FROM (${rows}) AS counted`, parameters))[0]?.['n'] ?? 0);
  }

  private rows(sql: string, parameters: readonly unknown[]): Promise<SqlRow[]> {
    return this.guarded(() => this.connection.rows(sql, parameters));
  }

  private async guarded<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await this.watch.ask(CALL_LIMIT_MS, work);
    } catch (error) {
      throw unavailable(error, describeTarget(this.target));
    }
  }
}

/** A packed row may begin before the position. */
const entriesAfter = (rows: readonly SqlRow[], afterSeq: number): StoredEntry[] =>
  rows.flatMap(entriesOfRow).filter(({ taskSeq }) => taskSeq! > afterSeq);

function pageConditions(query: TaskQuery): { conditions: string[]; parameters: unknown[]; orderBy: 'created_at' | 'dead_lettered_at' } {
  const conditions: string[] = [];
  const parameters: unknown[] = [];
  const where = (condition: string, ...values: unknown[]): void => {
    conditions.push(condition);
    parameters.push(...values);
  };
  const orderBy = query.deadLetteredSince === undefined ? 'created_at' : 'dead_lettered_at';
  if (query.deadLetteredSince !== undefined) where('t."dead_lettered_at" >= ?', query.deadLetteredSince);
  if (query.userId === null) where('t."user_id" IS NULL');
  else if (query.userId !== undefined) where('t."user_id" = ?', query.userId);
  // The row of a task that runs says that it waits; a run of a log's home says so itself.
  if (query.status === 'running') where(`(r."task_id" IS NOT NULL OR t."status" = 'running')`);
  else if (query.status === 'created') where(`t."status" = 'created' AND r."task_id" IS NULL`);
  else if (query.status !== undefined) where('t."status" = ?', query.status);
  if (query.name !== undefined) where('t."name" = ?', query.name);
  if (query.tag !== undefined) where(POSTGRES.contains('t."tags"'), query.tag);
  if (query.after !== undefined) where(`(t."${orderBy}", t."id") < (?, ?)`, query.after.at, query.after.id);
  return { conditions, parameters, orderBy };
}
