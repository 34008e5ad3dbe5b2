import { Socket } from 'node:net';
import type { DataSource } from 'typeorm';
import type { Clock } from '../contracts/clock.interface.js';

/** The sockets of one pool, so that connections whose other end is silent can be ended without asking it. */
export class PoolSockets {
  private readonly sockets = new Set<Socket>();

  /** @param given what the options say of `stream`: the connector of a cloud may bring sockets of its own. */
  constructor(private readonly given: unknown) {}

  /** For the option `stream` of `pg`, which asks for each connection. */
  readonly create = (config: unknown): unknown => {
    const socket: unknown = typeof this.given === 'function' ? this.given(config) : (this.given ?? new Socket());
    if (socket instanceof Socket) {
      this.sockets.add(socket);
      socket.once('close', () => this.sockets.delete(socket));
    }
    return socket;
  };

  destroy(): void {
    for (const socket of this.sockets) socket.destroy();
  }
}

/** What a goodbye to the server may take. */
const GOODBYE_MS = 1_000;

/** A connected DataSource, and what is known of the way to it. */
export class OpenDatabase {
  constructor(
    readonly dataSource: DataSource,
    private readonly clock: Clock,
    /** Postgres only. */
    private readonly sockets?: PoolSockets,
    /** True: nobody ends a statement that waits for a lock, as the pooler on the way keeps no settings of a session. */
    readonly limitsEachRead = false,
  ) {}

  /** Ends it without a word to the other end. */
  abandon(): void {
    this.sockets?.destroy();
    void this.close();
  }

  /** Statements under way are let through. */
  async close(): Promise<void> {
    // A broken one may not even close; the error that led here says more.
    if (this.dataSource.isInitialized) await this.dataSource.destroy().catch(() => undefined);
    // A server that is silent says no goodbye, and its sockets would keep the process alive.
    this.clock.after(GOODBYE_MS, () => this.sockets?.destroy());
  }
}
