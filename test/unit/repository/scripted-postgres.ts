import { once } from 'node:events';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';

const TEXT_TYPE = 25;

/** A message of the protocol: its letter, its length, its body. */
function message(letter: string, ...parts: Buffer[]): Buffer {
  const body = Buffer.concat(parts);
  return Buffer.concat([Buffer.from(letter), int32(body.length + 4), body]);
}
const int16 = (value: number): Buffer => Buffer.from([value >> 8, value & 0xff]);
const int32 = (value: number): Buffer => Buffer.concat([int16(value >>> 16), int16(value & 0xffff)]);
const text = (value: string): Buffer => Buffer.from(`${value}\0`);

const READY = message('Z', Buffer.from('I'));
const GREETING = Buffer.concat([message('R', int32(0)), READY]);

function answerOf(row: Readonly<Record<string, string>>): Buffer {
  const columns = Object.entries(row);
  const described = columns.flatMap(([name]) => [
    text(name),
    int32(0),
    int16(0),
    int32(TEXT_TYPE),
    int16(-1 & 0xffff),
    int32(-1),
    int16(0),
  ]);
  const values = columns.flatMap(([, value]) => [int32(Buffer.byteLength(value)), Buffer.from(value)]);
  return Buffer.concat([
    message('T', int16(columns.length), ...described),
    message('D', int16(columns.length), ...values),
    message('C', text('SELECT 1')),
    READY,
  ]);
}

/** A peer that speaks PostgreSQL's protocol as far as a client without parameters needs it, where a test is of the connection, not of a database. */
export class ScriptedPostgres {
  /** Statements without parameters, as they came. */
  readonly statements: string[] = [];
  private readonly sockets = new Set<Socket>();

  private constructor(
    private readonly server: Server,
    private readonly rowFor: (sql: string) => Readonly<Record<string, string>>,
  ) {}

  /** @param rowFor the one row that answers a statement. */
  static async start(rowFor: (sql: string) => Readonly<Record<string, string>>): Promise<ScriptedPostgres> {
    const server = createServer();
    const peer = new ScriptedPostgres(server, rowFor);
    server.on('connection', (socket) => peer.serve(socket));
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return peer;
  }

  get port(): number {
    return (this.server.address() as AddressInfo).port;
  }

  close(): void {
    this.server.close();
    for (const socket of this.sockets) socket.destroy();
  }

  private serve(socket: Socket): void {
    this.sockets.add(socket);
    let received = Buffer.alloc(0);
    let isGreeted = false;
    socket.on('error', () => undefined).on('close', () => this.sockets.delete(socket));
    socket.on('data', (data) => {
      received = Buffer.concat([received, data]);
      // The first message has no letter.
      for (let letters = isGreeted ? 1 : 0; received.length >= letters + 4; letters = 1) {
        const length = letters + received.readInt32BE(letters);
        if (received.length < length) return;
        const [taken, rest] = [received.subarray(0, length), received.subarray(length)];
        received = rest;
        if (letters === 0) socket.write(GREETING);
        else if (taken[0] === 'Q'.charCodeAt(0)) this.answer(socket, taken.toString('utf8', 5, length - 1));
        isGreeted = true;
      }
    });
  }

  private answer(socket: Socket, sql: string): void {
    this.statements.push(sql);
    socket.write(answerOf(this.rowFor(sql)));
  }
}
