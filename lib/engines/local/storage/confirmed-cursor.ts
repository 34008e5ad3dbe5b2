import type { FlushCursor } from '../../../contracts/task-store.interface.js';
import { isTooManyConnections } from '../../../repository/database-errors.js';
import type { DatabaseTarget } from '../../../repository/database-target.js';
import { DatabaseConnection } from '../../../repository/database.connection.js';
import type { DatabasePorts } from '../../../repository/repository.ports.js';
import { readCursor } from './cursor-rows.js';

/** The cursor, read through a connection opened for this call alone. @param beside our own reads, which may hold the last connection of the role. */
export async function confirmedCursor(
  target: DatabaseTarget,
  ports: DatabasePorts,
  beside: DatabaseConnection,
  logId: string,
): Promise<FlushCursor | null> {
  const connection = new DatabaseConnection(target, 'confirm', ports);
  try {
    await connection.open().catch(async (error: unknown) => {
      if (!isTooManyConnections(error)) throw error;
      await beside.rest();
      await connection.open();
    });
    return await readCursor(connection, logId);
  } finally {
    await connection.close();
  }
}
