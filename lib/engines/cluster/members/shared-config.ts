import { createHash } from 'node:crypto';
import type { TaskflowOptions } from '../../../config/taskflow.options.js';

/** Of the protocol that nodes speak with each other through the database. */
export const CLUSTER_VERSION = '1';

/** Of the options that all nodes must share: two nodes with different ones would each hold other limits. */
export function configHash({ guard, recovery, retention }: TaskflowOptions): string {
  const shared = { guard, recovery, retention };
  return createHash('sha256').update(JSON.stringify(shared)).digest('hex').slice(0, 16);
}
