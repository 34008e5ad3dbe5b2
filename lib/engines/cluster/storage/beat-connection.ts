import type { DatabaseTarget } from '../../../repository/database-target.js';
import type { DatabasePorts } from '../../../repository/repository.ports.js';
import { ClusterConnection } from './cluster-connection.js';
import { clusterNames } from './cluster-names.js';

/** A beat that takes longer helps nobody: it is repeated on another connection. Unit: ms. */
const BEAT_LIMIT_MS = 2_000;

/** A connection for nothing but beats, so that nothing delays them. Opens with the first one. */
export class BeatConnection {
  private readonly connection: ClusterConnection;
  private readonly fn: string;
  private opened: Promise<void> | undefined;

  constructor(target: DatabaseTarget, ports: DatabasePorts) {
    this.connection = new ClusterConnection(target, ports);
    this.fn = clusterNames(target.kind === 'postgres' ? target.schema : undefined).fn.beat;
  }

  async beat(me: string, draining: boolean): Promise<{ readonly alive: boolean }> {
    this.opened ??= this.connection.open();
    await this.opened;
    const answer = await this.connection.call<{ beat: number | null }>(this.fn, [me, draining], ['text', 'boolean'], BEAT_LIMIT_MS);
    return { alive: answer.beat !== null };
  }

  /** The next beat goes over a fresh connection. */
  renew(): void {
    this.opened = undefined;
    this.connection.leave();
  }

  close(): Promise<void> {
    return this.connection.close();
  }
}
