import type { TaskId } from '../../../contracts/ids.js';
import type { TaskState } from '../../../domain/task-state.js';
import { ValidationError } from '../../../errors/request.errors.js';
import { errorCode } from '../../../repository/database-errors.js';
import type { SqlRow } from '../../../repository/sql-session.interface.js';
import type { ClusterNames } from './cluster-names.js';
import type { HostManager } from './host-transaction.js';
import { heldSelection, placesOf, stateOfHeldRow } from './task-places.js';

/** What we use of TypeORM's EntityManager, whichever copy of TypeORM it is of. */
interface GivenManager extends HostManager {
  readonly queryRunner?: { readonly isTransactionActive: boolean };
  readonly connection: { readonly options: { readonly type: string } };
}

/** @throws ValidationError unless it is an EntityManager in a transaction on PostgreSQL. */
export function requireManager(manager: object): HostManager {
  const { query, connection, queryRunner } = manager as Partial<GivenManager>;
  if (typeof query !== 'function' || connection?.options === undefined)
    throw new ValidationError('manager', 'must be an EntityManager of TypeORM', 'application');
  if (connection.options.type !== 'postgres')
    throw new ValidationError(
      'manager',
      `must be of the PostgreSQL database that the tasks are in, not of '${connection.options.type}'`,
      'application',
    );
  if (queryRunner?.isTransactionActive !== true)
    throw new ValidationError(
      'manager',
      'must be in a transaction: use the one that dataSource.transaction(async (manager) => …) gives',
      'application',
    );
  return {
    query: async (sql, parameters) => {
      try {
        return await (manager as GivenManager).query(sql, parameters);
      } catch (error) {
        if (['42P01', '42883', '3F000'].includes(errorCode(error)))
          throw new ValidationError('manager', 'must be of the database that the tasks are in, which repository names', 'application');
        throw error;
      }
    },
  };
}

/** The task as the host's transaction sees it, kept as it is until that ends. */
export async function keptTask(host: HostManager, t: ClusterNames, id: TaskId): Promise<TaskState | null> {
  await host.query(`SELECT 1 FROM ${t.tasks} WHERE "id" = $1 FOR UPDATE`, [id]);
  return taskWithin(host, t, id);
}

/** The task as the host's transaction sees it. */
export async function taskWithin(host: HostManager, t: ClusterNames, id: TaskId): Promise<TaskState | null> {
  const sql = `SELECT ${heldSelection(t, true)} FROM ${placesOf(t)} WHERE t."id" = $1`;
  const [row] = (await host.query(sql, [id])) as SqlRow[];
  return row === undefined ? null : stateOfHeldRow(row);
}
