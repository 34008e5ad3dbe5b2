import type { DatabaseTarget } from '../../../repository/database-target.js';
import { openDatabase } from '../../../repository/data-source.factory.js';
import type { DatabasePorts } from '../../../repository/repository.ports.js';
import { BASE_SCHEMA } from './migrations/cluster.migrations.js';

/** A connection that listens. */
export interface HintConnection {
  notify(payload: string): Promise<void>;
  close(): Promise<void>;
}

/** What we use of the driver's own client, below TypeORM. */
interface ListeningClient {
  on(event: 'notification', listener: (message: { readonly payload?: string }) => void): void;
  on(event: 'error' | 'end', listener: () => void): void;
}

/** One channel for each schema: names of channels are of the whole database. */
export const hintChannel = (target: DatabaseTarget): string =>
  `taskflow_${target.kind === 'postgres' ? (target.schema ?? 'public') : ''}`.slice(0, 63);

export const NOTIFY = 'SELECT pg_notify(?, ?)';

/** @param onEnd called when the connection is gone, perhaps more than once. */
export async function listenForHints(
  target: DatabaseTarget,
  ports: DatabasePorts,
  onHint: (payload: string) => void,
  onEnd: () => void,
): Promise<HintConnection> {
  const database = await openDatabase(target, 'node', ports, BASE_SCHEMA);
  try {
    const runner = database.dataSource.createQueryRunner('master');
    const client = (await runner.connect()) as ListeningClient;
    client.on('notification', ({ payload = '' }) => onHint(payload));
    client.on('error', onEnd);
    client.on('end', onEnd);
    const channel = hintChannel(target);
    await runner.query(`LISTEN "${channel}"`);
    return {
      notify: async (payload) => void (await runner.query('SELECT pg_notify($1, $2)', [channel, payload])),
      close: async () => database.abandon(),
    };
  } catch (error) {
    database.abandon();
    throw error;
  }
}
