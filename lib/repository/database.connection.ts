import type { QueryResult, QueryRunner } from 'typeorm';
import { RepositoryError } from '../errors/storage.errors.js';
import { answerWithin, isSilence } from './answer-limit.js';
import { retryWhileBusy } from './busy-retry.js';
import { retryWhileCrowded } from './crowd-retry.js';
import { openDatabase } from './data-source.factory.js';
import { isBrokenHandle, isWrongPassword } from './database-errors.js';
import { type DatabaseTarget, describeTarget } from './database-target.js';
import type { Dialect } from './dialect.js';
import { retryWhenEnded } from './ended-retry.js';
import { type OwnSchema, TASKFLOW_SCHEMA } from './migrations/taskflow.migrations.js';
import { isMigrated, migrate } from './migrator.js';
import type { OpenDatabase } from './open-database.js';
import type { DatabasePorts, DatabaseRole } from './repository.ports.js';
import { affectedOf, connectedRunner, recordsOf } from './query-results.js';
import { type TableNames, tableNames } from './schema-names.js';
import type { SqlRow, SqlSession } from './sql-session.interface.js';
import { MIGRATION_LIMIT_MS, type StatementLimits, statementLimits } from './statement-limits.js';

const MAX_REMEMBERED_TEXTS = 400;
const CLOSE_LIMIT_MS = 5_000;
/** How long to wait for a connection that others of ours may give up. */
const CROWDED_LIMIT_MS = 5_000;

/** What runs statements, one at a time. */
type Query = (sql: string, parameters?: readonly unknown[]) => Promise<QueryResult>;

/**
 * Our own connection, or small pool, to one database. Opens again by itself after it broke, or fell silent. Errors are the driver's, but for
 * silence. A statement of SQLite cannot be left: it ends when the disk answers.
 */
export class DatabaseConnection implements SqlSession {
  readonly dialect: Dialect;
  readonly tables: TableNames;
  private readonly limits: StatementLimits;
  private database: OpenDatabase | undefined;
  private opening: Promise<OpenDatabase> | undefined;
  /** Connected, and migrated for as long as that takes. */
  private arriving: OpenDatabase | undefined;
  private wasOpened = false;
  private readonly texts = new Map<string, string>();

  constructor(
    private readonly target: DatabaseTarget,
    private readonly role: DatabaseRole,
    private readonly ports: DatabasePorts,
    private readonly own: OwnSchema = TASKFLOW_SCHEMA,
  ) {
    this.dialect = target.dialect;
    this.tables = tableNames(target.kind === 'postgres' ? target.schema : undefined);
    this.limits = statementLimits(target, role);
  }

  get isOpen(): boolean {
    return this.database !== undefined;
  }

  /** For messages. */
  get description(): string {
    return describeTarget(this.target);
  }

  /** The answer of several statements together. @throws RepositoryError when there is none in time; what runs goes on to its end. */
  within<T>(limitMs: number, call: () => Promise<T>): Promise<T> {
    return answerWithin(this.ports.clock, limitMs, this.description, call);
  }

  /** Connects and, but for `confirm` and `node`, migrates. */
  async open(): Promise<void> {
    this.wasOpened = true;
    await this.connected();
  }

  async rows(sql: string, parameters: readonly unknown[] = []): Promise<SqlRow[]> {
    return retryWhenEnded(this.ports.clock, () => this.read(this.text(sql), parameters));
  }

  /** As `rows`, of a statement that may write: it is sent once, whatever becomes of its answer. */
  once(sql: string, parameters: readonly unknown[]): Promise<SqlRow[]> {
    return this.withRunner(async (query) => recordsOf(await query(this.text(sql), parameters)));
  }

  async run(sql: string, parameters: readonly unknown[] = []): Promise<number> {
    return this.withRunner((query) => retryWhileBusy(this.ports.clock, async () => affectedOf(await query(this.text(sql), parameters))));
  }

  /** `work` in one transaction that may write. One at a time: on SQLite there is one connection. */
  async transaction<T>(work: (session: SqlSession) => Promise<T>): Promise<T> {
    return this.inTransaction(this.dialect.begin(this.limits.atServerMs), (query) => work(this.sessionOn(query)));
  }

  /** Lets statements under way end, and keeps nothing open until the next one. */
  async rest(): Promise<void> {
    const { database } = this;
    this.database = undefined;
    await database?.close();
  }

  /** Leaves what is under way, and all connections, without a word to the server. The next statement opens new ones. */
  leave(): void {
    const { database } = this;
    this.database = undefined;
    database?.abandon();
  }

  async close(): Promise<void> {
    this.wasOpened = false;
    const { opening } = this;
    // Whatever does not end in time is left: a stop waits for no silent server.
    let left = this.arriving;
    const closed = async (): Promise<void> => {
      left = (await opening?.catch(() => undefined)) ?? this.database;
      await this.rest();
    };
    await answerWithin(this.ports.clock, CLOSE_LIMIT_MS, this.description, closed, () => left?.abandon()).catch(() => undefined);
  }

  private async read(sql: string, parameters: readonly unknown[]): Promise<SqlRow[]> {
    if ((await this.connected()).limitsEachRead)
      return this.inTransaction(this.dialect.beginRead(this.limits.atServerMs), async (query) => recordsOf(await query(sql, parameters)));
    return this.withRunner((query) => retryWhileBusy(this.ports.clock, async () => recordsOf(await query(sql, parameters))));
  }

  private sessionOn(query: Query): SqlSession {
    return {
      dialect: this.dialect,
      tables: this.tables,
      rows: async (sql, parameters = []) => recordsOf(await query(this.text(sql), parameters)),
      run: async (sql, parameters = []) => affectedOf(await query(this.text(sql), parameters)),
    };
  }

  private async inTransaction<T>(begin: string, work: (query: Query) => Promise<T>): Promise<T> {
    return this.withRunner(async (query, database) => {
      try {
        await retryWhileBusy(this.ports.clock, () => query(begin));
      } catch (error) {
        // Of several statements the first one may have been made.
        if (this.dialect.name === 'postgres') await query('ROLLBACK').catch(() => undefined);
        throw error;
      }
      try {
        const result = await work(query);
        await query('COMMIT');
        return result;
      } catch (error) {
        // Where even that fails the transaction ends with its connection, and the next one begins on another.
        if (!isSilence(error)) await query('ROLLBACK').catch(() => this.drop(database));
        throw error;
      }
    });
  }

  private async withRunner<T>(work: (query: Query, database: OpenDatabase) => Promise<T>): Promise<T> {
    const database = await this.connected();
    const runner = await this.runnerOn(database);
    // Structured results, since the raw ones differ from driver to driver and from verb to verb.
    const query: Query = (sql, parameters) => this.answer(database, () => runner.query(sql, parameters as unknown[] | undefined, true));
    try {
      return await work(query, database);
    } catch (error) {
      if (this.dialect.name === 'sqlite' && isBrokenHandle(error)) await this.drop(database);
      throw error;
    } finally {
      // A SQLite DataSource has one runner for ever.
      if (this.dialect.name === 'postgres') await runner.release();
    }
  }

  private runnerOn(database: OpenDatabase): Promise<QueryRunner> {
    const runner = (): Promise<QueryRunner> => this.answer(database, () => connectedRunner(database.dataSource));
    // A password that was changed since the pool was made: the next login asks for it again, once.
    const loggedIn = (): Promise<QueryRunner> =>
      runner().catch((error: unknown) => (isWrongPassword(error) ? runner() : Promise.reject(error)));
    return retryWhileCrowded(this.ports.clock, CROWDED_LIMIT_MS, loggedIn);
  }

  /** A server that says nothing for that long is left with all its connections: they go the same way. */
  private answer<T>(database: OpenDatabase, call: () => Promise<T>): Promise<T> {
    if (this.dialect.name === 'sqlite') return call();
    return answerWithin(this.ports.clock, this.limits.silentAfterMs, this.description, call, () => {
      if (this.database === database) this.database = undefined;
      database.abandon();
    });
  }

  private async connected(): Promise<OpenDatabase> {
    if (this.database !== undefined) return this.database;
    this.requireWanted();
    this.opening ??= this.connect().finally(() => {
      this.opening = undefined;
    });
    return this.opening;
  }

  private requireWanted(): void {
    if (!this.wasOpened) throw new RepositoryError('UNAVAILABLE', `The database is not open yet, or was closed: ${this.description}.`);
  }

  private async connect(): Promise<OpenDatabase> {
    const open = (): Promise<OpenDatabase> => openDatabase(this.target, this.role, this.ports, this.own);
    const loggedIn = (): Promise<OpenDatabase> =>
      open().catch((error: unknown) => (isWrongPassword(error) ? open() : Promise.reject(error)));
    const database = await retryWhileCrowded(this.ports.clock, CROWDED_LIMIT_MS, loggedIn);
    this.arriving = database;
    try {
      if (this.role !== 'confirm' && this.role !== 'node') await retryWhileBusy(this.ports.clock, () => this.migrate(database));
      this.requireWanted();
    } catch (error) {
      await database.close();
      throw error;
    } finally {
      this.arriving = undefined;
    }
    this.database = database;
    return database;
  }

  private async migrate(database: OpenDatabase): Promise<void> {
    const { dataSource } = database;
    const schema = this.target.kind === 'postgres' ? this.target.schema : undefined;
    if (await this.answer(database, () => isMigrated(dataSource, this.own, schema))) return;
    await answerWithin(
      this.ports.clock,
      MIGRATION_LIMIT_MS,
      this.description,
      () => migrate(dataSource, this.dialect, this.own, schema),
      () => database.abandon(),
    );
  }

  private async drop(database: OpenDatabase): Promise<void> {
    if (this.database === database) this.database = undefined;
    await database.close();
  }

  /** Remembered, since the long ones come again with every batch. */
  private text(sql: string): string {
    let text = this.texts.get(sql);
    if (text === undefined) {
      text = this.dialect.text(sql);
      if (this.texts.size >= MAX_REMEMBERED_TEXTS) this.texts.clear();
      this.texts.set(sql, text);
    }
    return text;
  }
}
