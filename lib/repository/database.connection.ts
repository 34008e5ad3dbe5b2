import type { DataSource, QueryRunner } from 'typeorm';
import { RepositoryError } from '../errors/storage.errors.js';
import { retryWhileBusy } from './busy-retry.js';
import { openDataSource } from './data-source.factory.js';
import { isBrokenHandle, isWrongPassword } from './database-errors.js';
import { type DatabaseTarget, describeTarget } from './database-target.js';
import type { Dialect } from './dialect.js';
import { retryWhenEnded } from './ended-retry.js';
import { migrate } from './migrator.js';
import type { DatabasePorts, DatabaseRole } from './repository.ports.js';
import { type TableNames, tableNames } from './schema-names.js';
import type { SqlRow, SqlSession } from './sql-session.interface.js';

const MAX_REMEMBERED_TEXTS = 400;

/** Our own connection, or small pool, to one database. Opens again by itself after it broke. Errors are the driver's. */
export class DatabaseConnection implements SqlSession {
  readonly dialect: Dialect;
  readonly tables: TableNames;
  private dataSource: DataSource | undefined;
  private opening: Promise<DataSource> | undefined;
  private wasOpened = false;
  private readonly texts = new Map<string, string>();

  constructor(
    private readonly target: DatabaseTarget,
    private readonly role: DatabaseRole,
    private readonly ports: DatabasePorts,
  ) {
    this.dialect = target.dialect;
    this.tables = tableNames(target.kind === 'postgres' ? target.schema : undefined);
  }

  get isOpen(): boolean {
    return this.dataSource !== undefined;
  }

  /** For messages. */
  get description(): string {
    return describeTarget(this.target);
  }

  /** Connects and, but for a `confirm` connection, migrates. */
  async open(): Promise<void> {
    this.wasOpened = true;
    await this.connected();
  }

  async rows(sql: string, parameters: readonly unknown[] = []): Promise<SqlRow[]> {
    return retryWhenEnded(this.ports.clock, () => this.statement((runner) => read(runner, this.text(sql), parameters)));
  }

  async run(sql: string, parameters: readonly unknown[] = []): Promise<number> {
    return this.statement((runner) => write(runner, this.text(sql), parameters));
  }

  /** `work` in one transaction that may write. One at a time: on SQLite there is one connection. */
  async transaction<T>(work: (session: SqlSession) => Promise<T>): Promise<T> {
    return this.withRunner(async (runner) => {
      await retryWhileBusy(this.ports.clock, () => runner.query(this.dialect.begin[0]!));
      try {
        for (const statement of this.dialect.begin.slice(1)) await runner.query(statement);
        const result = await work(this.sessionOn(runner));
        await runner.query('COMMIT');
        return result;
      } catch (error) {
        // Where even that fails the transaction ends with its connection, and the next one begins on another.
        await runner.query('ROLLBACK').catch(() => this.drop());
        throw error;
      }
    });
  }

  async close(): Promise<void> {
    this.wasOpened = false;
    await this.opening?.catch(() => undefined);
    await this.drop();
  }

  private sessionOn(runner: QueryRunner): SqlSession {
    return {
      dialect: this.dialect,
      tables: this.tables,
      rows: (sql, parameters = []) => read(runner, this.text(sql), parameters),
      run: (sql, parameters = []) => write(runner, this.text(sql), parameters),
    };
  }

  private async statement<T>(work: (runner: QueryRunner) => Promise<T>): Promise<T> {
    return this.withRunner((runner) => retryWhileBusy(this.ports.clock, () => work(runner)));
  }

  private async withRunner<T>(work: (runner: QueryRunner) => Promise<T>): Promise<T> {
    const dataSource = await this.connected();
    // A password that was changed since the pool was made: the next login asks for it again, once.
    const runner = await connectedRunner(dataSource).catch((error: unknown) =>
      isWrongPassword(error) ? connectedRunner(dataSource) : Promise.reject(error),
    );
    try {
      return await work(runner);
    } catch (error) {
      if (this.dialect.name === 'sqlite' && isBrokenHandle(error)) await this.drop();
      throw error;
    } finally {
      // A SQLite DataSource has one runner for ever.
      if (this.dialect.name === 'postgres') await runner.release();
    }
  }

  private async connected(): Promise<DataSource> {
    if (this.dataSource !== undefined) return this.dataSource;
    if (!this.wasOpened) throw new RepositoryError('UNAVAILABLE', `The database is not open yet: ${describeTarget(this.target)}.`);
    this.opening ??= this.connect().finally(() => {
      this.opening = undefined;
    });
    return this.opening;
  }

  private async connect(): Promise<DataSource> {
    const open = (): Promise<DataSource> => openDataSource(this.target, this.role, this.ports);
    const dataSource = await open().catch((error: unknown) => (isWrongPassword(error) ? open() : Promise.reject(error)));
    try {
      if (this.role !== 'confirm') {
        await retryWhileBusy(this.ports.clock, () =>
          migrate(dataSource, this.dialect, this.target.kind === 'postgres' ? this.target.schema : undefined),
        );
      }
    } catch (error) {
      await dataSource.destroy();
      throw error;
    }
    this.dataSource = dataSource;
    return dataSource;
  }

  private async drop(): Promise<void> {
    const dataSource = this.dataSource;
    this.dataSource = undefined;
    // A broken one may not even close; the error that led here says more.
    if (dataSource?.isInitialized) await dataSource.destroy().catch(() => undefined);
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

async function connectedRunner(dataSource: DataSource): Promise<QueryRunner> {
  const runner = dataSource.createQueryRunner('master');
  await runner.connect();
  return runner;
}

// Structured results, since the raw ones differ from driver to driver and from verb to verb.
async function read(runner: QueryRunner, sql: string, parameters: readonly unknown[]): Promise<SqlRow[]> {
  return (await runner.query(sql, parameters as unknown[], true)).records as SqlRow[];
}

async function write(runner: QueryRunner, sql: string, parameters: readonly unknown[]): Promise<number> {
  return (await runner.query(sql, parameters as unknown[], true)).affected ?? 0;
}
