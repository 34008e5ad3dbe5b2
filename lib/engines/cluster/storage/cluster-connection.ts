import { DatabaseConnection } from '../../../repository/database.connection.js';
import type { DatabaseTarget } from '../../../repository/database-target.js';
import type { OwnSchema } from '../../../repository/migrations/taskflow.migrations.js';
import type { DatabasePorts, DatabaseRole } from '../../../repository/repository.ports.js';
import type { SqlRow } from '../../../repository/sql-session.interface.js';
import { isReadOnly, isToBeRepeated, refusalOf } from './database-refusal.js';

const MAX_TRIES = 3;

/**
 * One way to the database, with one call on it at a time. Opens by itself, renews its login, and is left where it falls silent: see
 * `DatabaseConnection`. Statements have no name and set nothing beyond their transaction, so that a pooler may be on the way.
 */
export class ClusterConnection {
  private readonly connection: DatabaseConnection;
  private turn: Promise<unknown> = Promise.resolve();

  constructor(target: DatabaseTarget, ports: DatabasePorts, role: DatabaseRole = 'node', own?: OwnSchema) {
    this.connection = new DatabaseConnection(target, role, ports, own);
  }

  get description(): string {
    return this.connection.description;
  }

  async open(): Promise<void> {
    await this.connection.open().catch((error: unknown) => Promise.reject(refusalOf(error, this.description, false)));
  }

  /**
   * The answer of a function of ours. @param limitMs for this caller: no answer by then is an unknown outcome, and what is under way is left.
   * @throws RepositoryError.
   */
  async call<T>(fn: string, args: readonly unknown[], types: readonly string[], limitMs: number): Promise<T> {
    const places = types.map((type) => `?::${type}`).join(', ');
    const rows = await this.send(`SELECT ${fn}(${places}) AS answer`, args, { writes: true, limitMs });
    return rows[0]!['answer'] as T;
  }

  /** @throws RepositoryError. */
  read(sql: string, parameters: readonly unknown[], limitMs: number): Promise<SqlRow[]> {
    return this.send(sql, parameters, { writes: false, limitMs });
  }

  /** Outside any transaction; of itself it changes nothing that anybody relies on (VACUUM, NOTIFY). @throws RepositoryError. */
  async run(sql: string, parameters: readonly unknown[], limitMs: number): Promise<void> {
    await this.send(sql, parameters, { writes: false, limitMs });
  }

  /** As after a failover: what stands leads to the wrong server. */
  leave(): void {
    this.connection.leave();
  }

  close(): Promise<void> {
    return this.connection.close();
  }

  private send(
    sql: string,
    parameters: readonly unknown[],
    { writes, limitMs }: { readonly writes: boolean; readonly limitMs: number },
  ): Promise<SqlRow[]> {
    const answer = this.turn.then(() => this.sendNow(sql, parameters, writes, limitMs));
    this.turn = answer.catch(() => undefined);
    return answer;
  }

  private async sendNow(sql: string, parameters: readonly unknown[], writes: boolean, limitMs: number): Promise<SqlRow[]> {
    for (let tries = 1; ; tries++) {
      try {
        return await this.connection.within(limitMs, () =>
          writes ? this.connection.once(sql, parameters) : this.connection.rows(sql, parameters),
        );
      } catch (error) {
        if (isToBeRepeated(error) && tries < MAX_TRIES) continue;
        const refusal = refusalOf(error, this.description, writes);
        // Whatever is still under way must not be what the next call waits for.
        if (refusal.outcome === 'unknown' || isReadOnly(refusal)) this.leave();
        throw refusal;
      }
    }
  }
}
