import type { DatabaseTarget } from '../../../repository/database-target.js';
import type { DatabasePorts } from '../../../repository/repository.ports.js';
import { BeatConnection } from './beat-connection.js';
import { ClusterConnection } from './cluster-connection.js';
import { ClusterDatabase } from './cluster-database.js';
import { migrateCluster } from './cluster-schema.js';
import { ClusterReads } from './cluster-reads.js';
import { type HintConnection, hintChannel, listenForHints, NOTIFY } from './hint-connection.js';

const HINT_LIMIT_MS = 2_000;
const VACUUM_LIMIT_MS = 60_000;
/** Dead rows of a table of places that are cleared by ourselves: autovacuum looks once a minute. */
const MAX_DEAD = 5_000;

/** All connections of one node: three for calls, a few for questions, one for small things that may be late. */
export class ClusterStorage {
  readonly functions: ClusterDatabase;
  readonly reads: ClusterReads;
  /** Opens with its first beat: where a thread of its own beats, it never does. */
  readonly beats: BeatConnection;
  private readonly aside: ClusterConnection;
  private readonly channel: string;

  constructor(
    private readonly target: DatabaseTarget,
    private readonly ports: DatabasePorts,
  ) {
    this.functions = new ClusterDatabase(target, ports);
    this.reads = new ClusterReads(target, ports);
    this.beats = new BeatConnection(target, ports);
    this.aside = new ClusterConnection(target, ports);
    this.channel = hintChannel(target);
  }

  /** Brings the schema to this version where it is older, and connects. @throws RepositoryError. */
  async open(): Promise<void> {
    await migrateCluster(this.target, this.ports);
    await Promise.all([this.functions.open(), this.reads.open(), this.aside.open()]);
  }

  notify(payload: string): Promise<void> {
    return this.aside.run(NOTIFY, [this.channel, payload], HINT_LIMIT_MS);
  }

  listen(onHint: (payload: string) => void, onEnd: () => void): Promise<HintConnection> {
    return listenForHints(this.target, this.ports, onHint, onEnd);
  }

  /** Clears dead rows of the tables that every task goes through, where there are many. */
  async vacuum(): Promise<void> {
    const { queue, runs, turns, windows, admissions } = this.functions.names;
    for (const table of [queue, runs, turns, windows, admissions]) {
      const rows = await this.aside.read('SELECT pg_stat_get_dead_tuples(?::regclass) AS dead', [table], HINT_LIMIT_MS);
      if (Number(rows[0]?.['dead']) > MAX_DEAD) await this.aside.run(`VACUUM (TRUNCATE off) ${table}`, [], VACUUM_LIMIT_MS);
    }
  }

  async close(): Promise<void> {
    await Promise.all([this.functions.close(), this.reads.close(), this.beats.close(), this.aside.close()]);
  }
}
