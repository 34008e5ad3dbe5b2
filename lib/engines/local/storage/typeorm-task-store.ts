import type { TaskQuery } from '../../../contracts/task-queries.interface.js';
import type { FlushCursor, TaskStore, UnfinishedHome } from '../../../contracts/task-store.interface.js';
import type { StoredEntry } from '../../../contracts/task-history.interface.js';
import { comparePositions } from '../../../domain/task-query.js';
import { changed, isEnded, type TaskState } from '../../../domain/task-state.js';
import { confirmedCursor } from './confirmed-cursor.js';
import { readCursor } from './cursor-rows.js';
import { unavailable } from '../../../repository/database-errors.js';
import { DatabaseConnection } from '../../../repository/database.connection.js';
import { type DatabaseTarget, describeTarget } from '../../../repository/database-target.js';
import { readDeadEntries } from './rejected/dead-entry-rows.js';
import { isWhole, QuarantinedTasks } from './rejected/quarantined-tasks.js';
import { lastSeenAt, QuarantineMerge } from './rejected/quarantine-merge.js';
import type { DatabasePorts } from '../../../repository/repository.ports.js';
import type { RowReader, SqlRow } from '../../../repository/sql-session.interface.js';
import { CALL_LIMIT_MS, OPEN_LIMIT_MS } from '../../../repository/statement-limits.js';
import { StatementGate } from '../../../repository/statement-gate.js';
import { StorageWatch } from '../../../repository/storage-watch.js';
import { readKeyBases } from './retired-keys.js';
import { findByKeys } from './task-keys.js';
import { listStatement } from './task-queries.js';
import { entryOfRow, stateOfRow, taskColumns } from '../../../repository/task-row.mapper.js';

/** More would hold libuv's threads, which the log's sync needs. */
const STATEMENTS_AT_ONCE = { sqlite: 2, postgres: 4 } as const;

/** A connection of its own, and one statement. */
const CONFIRM_LIMIT_MS = 45_000;

/** What the parent reads of our tables, quarantined tasks as they are. Every rejection is a RepositoryError. */
export class TypeOrmTaskStore implements TaskStore {
  private readonly connection: DatabaseConnection;
  private readonly gate: StatementGate;
  private readonly reader: RowReader;
  private readonly watch: StorageWatch;
  private readonly quarantined: QuarantinedTasks;
  private readonly merge: QuarantineMerge;

  constructor(
    private readonly target: DatabaseTarget,
    private readonly ports: DatabasePorts,
  ) {
    this.connection = new DatabaseConnection(target, 'reader', ports);
    this.gate = new StatementGate(STATEMENTS_AT_ONCE[target.dialect.name]);
    this.reader = { dialect: target.dialect, tables: this.connection.tables, rows: (sql, parameters) => this.rows(sql, parameters) };
    this.watch = new StorageWatch(ports.clock, describeTarget(target), ports.onSilence);
    this.quarantined = new QuarantinedTasks(this.reader);
    this.merge = new QuarantineMerge(this.quarantined);
  }

  get isOpen(): boolean {
    return this.connection.isOpen;
  }

  get isSilent(): boolean {
    return this.watch.isSilent;
  }

  open(): Promise<void> {
    return this.guarded(() => this.connection.open(), OPEN_LIMIT_MS);
  }

  cursor(logId: string): Promise<FlushCursor | null> {
    return readCursor(this.reader, logId);
  }

  confirmedCursor(logId: string): Promise<FlushCursor | null> {
    return this.guarded(() => confirmedCursor(this.target, this.ports, this.connection, logId), CONFIRM_LIMIT_MS);
  }

  findByIds(ids: readonly string[]): Promise<Map<string, TaskState>> {
    return this.quarantined.findByIds(ids);
  }

  findByKeys(scopedKeys: readonly string[]): Promise<Map<string, TaskState>> {
    return findByKeys(this.reader, this.quarantined, scopedKeys);
  }

  keyBases(scopedKeys: readonly string[]): Promise<Map<string, number>> {
    return readKeyBases(this.reader, scopedKeys);
  }

  async entriesAfter(taskId: string, afterSeq: number, limit: number): Promise<StoredEntry[]> {
    const { events } = this.connection.tables;
    const rows = await this.rows(
      `SELECT "seq", "type", "at", "attempt", "fence", "data" FROM ${events} WHERE "task_id" = ? AND "seq" > ? ORDER BY "seq" LIMIT ?`,
      [taskId, afterSeq, limit],
    );
    const entries = rows.map(entryOfRow);
    if (entries.length === limit) return entries;
    const dead = await readDeadEntries(this.reader, taskId, afterSeq, limit);
    // Dead entries follow the last one that was applied, so that no sequence is there twice; but for one that is being applied again.
    const last = entries.at(-1)?.taskSeq ?? afterSeq;
    return [...entries, ...dead.filter((entry) => entry.taskSeq! > last)].slice(0, limit);
  }

  async unfinished(
    home: string,
    status: 'created' | 'running' | undefined,
    after: { at: number; id: string } | null,
    limit: number,
  ): Promise<TaskState[]> {
    // Index scans that stop at the limit, rather than one that sorts.
    const statuses = status === undefined ? (['created', 'running'] as const) : [status];
    const pages = await Promise.all(statuses.map((each) => this.unfinishedRows(home, each, after, limit)));
    const rows = pages.flat().sort((a, b) => a.createdAt - b.createdAt || (a.id < b.id ? -1 : 1));
    return (await this.merge.unfinished(rows.slice(0, limit), home, status, after, limit)).map(withoutBodies);
  }

  async list(query: TaskQuery): Promise<TaskState[]> {
    const { sql, parameters } = listStatement(this.reader, query);
    return this.merge.list((await this.rows(sql, parameters)).map(stateOfRow), query);
  }

  async deadLetterRank(since: number, position: { at: number; id: string }): Promise<number> {
    const sql = `SELECT COUNT(*) AS n FROM ${this.whole()} AND "dead_lettered_at" >= ? AND ("dead_lettered_at", "id") > (?, ?)`;
    const isNewer = (state: TaskState): boolean =>
      isDeadLetter(state, since) && comparePositions({ at: state.deadLetteredAt!, id: state.id }, position) > 0;
    return (await this.count(sql, [since, position.at, position.id])) + (await this.merge.count(isNewer));
  }

  async countDeadLetters(since: number, atMost: number): Promise<number> {
    const sql = `SELECT COUNT(*) AS n FROM (SELECT 1 FROM ${this.whole()} AND "dead_lettered_at" >= ? LIMIT ?) AS counted`;
    const rows = await this.count(sql, [since, atMost]);
    return rows >= atMost ? rows : rows + (await this.merge.count((state) => isDeadLetter(state, since), atMost - rows));
  }

  async prunable(home: string, completedBefore: number, failedBefore: number, limit: number): Promise<TaskState[]> {
    const sql =
      `SELECT ${taskColumns(this.connection.dialect, false)} FROM ${this.whole()} AND "home" = ? AND "completed_at" < ?` +
      ` AND (("status" IN ('completed', 'cancelled') AND "completed_at" < ?) OR ("status" = 'failed' AND "completed_at" < ?)) ORDER BY "completed_at", "id" LIMIT ?`;
    const rows = await this.rows(sql, [home, Math.max(completedBefore, failedBefore), completedBefore, failedBefore, limit]);
    return (await this.merge.prunable(rows.map(stateOfRow), home, completedBefore, failedBefore, limit)).map(withoutBodies);
  }

  async staleElsewhere(home: string, before: number, limit: number): Promise<readonly { id: string; home: string; lastSeenAt: number }[]> {
    const seen = 'COALESCE("last_heartbeat_at", "started_at", "created_at")';
    const sql =
      `SELECT "id", "home", ${seen} AS seen FROM ${this.whole()}` +
      ` AND "status" = 'running' AND "home" <> ? AND ${seen} < ? ORDER BY "created_at", "id" LIMIT ?`;
    const rows = await this.rows(sql, [home, before, limit]);
    const stale = rows.map((row) => ({ id: row['id'] as string, home: row['home'] as string, lastSeenAt: Number(row['seen']) }));
    const quarantined = await this.merge.stale(home, before, limit - stale.length);
    return [...stale, ...quarantined.map((state) => ({ id: state.id as string, home: state.home, lastSeenAt: lastSeenAt(state) }))];
  }

  async unfinishedElsewhere(home: string): Promise<readonly UnfinishedHome[]> {
    const { nodes, cursor } = this.connection.tables;
    const elsewhere = await this.merge.countBy((state) => (isEnded(state.status) || state.home === home ? null : state.home));
    const quarantined = [...elsewhere.values()].map((n) => ` UNION ALL SELECT CAST(? AS text), ${n}`).join('');
    const sql =
      `SELECT t."home" AS home, SUM(t.n) AS n, COALESCE(MAX(c."applied_seq"), 0) AS applied, COALESCE(MAX(n."beat_at"), 0) AS beat` +
      ` FROM (SELECT "home", 1 AS n FROM ${this.whole()} AND "status" IN ('created', 'running') AND "home" <> ?${quarantined}) AS t` +
      ` LEFT JOIN ${cursor} AS c ON c."log_id" = t."home" LEFT JOIN ${nodes} AS n ON n."home" = t."home" GROUP BY t."home" ORDER BY t."home"`;
    return (await this.rows(sql, [home, ...elsewhere.keys()])).map((row) => ({
      home: row['home'] as string,
      appliedSeq: Number(row['applied']),
      unfinished: Number(row['n']),
      beatAt: Number(row['beat']),
    }));
  }

  async isKnown(home: string): Promise<boolean> {
    return (await this.count(`SELECT COUNT(*) AS n FROM ${this.connection.tables.nodes} WHERE "home" = ?`, [home])) > 0;
  }

  async beat(home: string, owner: string, at: number): Promise<void> {
    const sql =
      `INSERT INTO ${this.connection.tables.nodes} ("home", "owner", "beat_at") VALUES (?, ?, ?)` +
      ` ON CONFLICT ("home") DO UPDATE SET "owner" = excluded."owner", "beat_at" = excluded."beat_at"`;
    await this.guarded(() => this.gate.pass(() => this.connection.run(sql, [home, owner, at])));
  }

  async leave(home: string, owner: string): Promise<void> {
    const sql = `UPDATE ${this.connection.tables.nodes} SET "beat_at" = 0 WHERE "home" = ? AND "owner" = ?`;
    await this.guarded(() => this.gate.pass(() => this.connection.run(sql, [home, owner])));
  }

  deadEntryCount(home: string): Promise<number> {
    return this.count(`SELECT COUNT(*) AS n FROM ${this.connection.tables.deadEntries} WHERE "log_id" = ?`, [home]);
  }

  async healthCheck(): Promise<boolean> {
    return this.rows('SELECT 1 AS alive').then(
      (rows) => rows.length === 1,
      () => false,
    );
  }

  close(): Promise<void> {
    return this.connection.close().finally(() => this.watch.end());
  }

  private async unfinishedRows(
    home: string,
    status: string,
    after: { at: number; id: string } | null,
    limit: number,
  ): Promise<TaskState[]> {
    const position = after === null ? '' : ' AND ("created_at", "id") > (?, ?)';
    const sql =
      `SELECT ${taskColumns(this.connection.dialect, false)} FROM ${this.whole()}` +
      ` AND "home" = ? AND "status" = ?${position} ORDER BY "created_at", "id" LIMIT ?`;
    const rows = await this.rows(sql, [home, status, ...(after === null ? [] : [after.at, after.id]), limit]);
    return rows.map(stateOfRow);
  }

  /** Rows that need no folding; more conditions follow with AND. */
  private whole(): string {
    return `${this.connection.tables.tasks} AS t WHERE ${isWhole(this.reader)}`;
  }

  private async count(sql: string, parameters: readonly unknown[]): Promise<number> {
    return Number((await this.rows(sql, parameters))[0]?.['n'] ?? 0);
  }

  private rows(sql: string, parameters: readonly unknown[] = []): Promise<SqlRow[]> {
    return this.guarded(() => this.gate.pass(() => this.connection.rows(sql, parameters)));
  }

  private async guarded<T>(work: () => Promise<T>, limitMs: number = CALL_LIMIT_MS): Promise<T> {
    try {
      return await this.watch.ask(limitMs, work);
    } catch (error) {
      throw unavailable(error, describeTarget(this.target));
    }
  }
}

const withoutBodies = (state: TaskState): TaskState => changed(state, { input: undefined, result: undefined });

const isDeadLetter = ({ deadLetteredAt }: TaskState, since: number): boolean => deadLetteredAt !== null && deadLetteredAt >= since;
