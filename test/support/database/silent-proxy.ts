import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';

/** A way to a server that can fall silent: connections stay, and nothing comes through them any more, as after a failover without a word. */
export class SilentProxy {
  /** Connections that were taken, whatever became of them. */
  taken = 0;
  /** Messages that a silent way swallowed. */
  swallowed = 0;
  private isSilent = false;
  private readonly sockets = new Set<Socket>();
  private readonly dead = new WeakSet<Socket>();

  private constructor(private readonly server: Server) {}

  static async to(host: string, port: number): Promise<SilentProxy> {
    const server = createServer();
    const proxy = new SilentProxy(server);
    server.on('connection', (client) => proxy.take(client, connect(port, host)));
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return proxy;
  }

  get port(): number {
    return (this.server.address() as AddressInfo).port;
  }

  /** Connections whose client side stands. */
  get open(): number {
    return this.sockets.size;
  }

  /** What stands now says nothing more; new connections are taken, and hear nothing either. */
  silence(): void {
    this.isSilent = true;
    for (const socket of this.sockets) this.dead.add(socket);
  }

  /** New connections work. Those that fell silent stay so. */
  heal(): void {
    this.isSilent = false;
  }

  close(): void {
    this.server.close();
    for (const socket of this.sockets) socket.destroy();
  }

  private take(client: Socket, upstream: Socket): void {
    this.taken++;
    this.sockets.add(client);
    if (this.isSilent) this.dead.add(client);
    client.on('data', (data) => {
      if (this.dead.has(client)) this.swallowed++;
      else upstream.write(data);
    });
    upstream.on('data', (data) => {
      if (!this.dead.has(client)) client.write(data);
    });
    client
      .on('error', () => undefined)
      .on('close', () => {
        this.sockets.delete(client);
        upstream.destroy();
      });
    upstream
      .on('error', () => undefined)
      .on('close', () => {
        if (!this.dead.has(client)) client.destroy();
      });
  }
}
