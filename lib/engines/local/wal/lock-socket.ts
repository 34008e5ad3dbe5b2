import { connect, createServer, type Server, type Socket } from 'node:net';

/** A stopped or busy holder accepts in the kernel but says nothing; it holds the lock all the same. */
const GREETING_TIMEOUT_MS = 250;
/** A greeting is a line of about 150 characters. Whoever says more is no holder of ours, and is not listened to for ever. */
const MAX_GREETING_CHARS = 4096;

/** Listens, also in a cluster worker, for itself alone. The kernel lets go when the process dies, however it dies. */
export async function listenOnSocket(path: string, greeting: () => string): Promise<{ close(): Promise<void> }> {
  const server = createServer((socket: Socket) => {
    socket.on('error', () => socket.destroy());
    socket.end(greeting());
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen({ path, exclusive: true }, () => resolve());
  });
  server.on('error', () => undefined); // accept errors (EMFILE) do not free the lock
  server.unref();
  return { close: () => closeServer(server) };
}

function closeServer(server: Server): Promise<void> {
  return new Promise((resolve) => server.close(() => resolve()));
}

/** Does not prove that nobody is there, and no waiting mends it. */
const FORBIDDEN = new Set(['EACCES', 'EPERM']);
const FREE = new Set(['ECONNREFUSED', 'ENOENT']);

/** What the listener says, '' when it says nothing in time, null when nobody listens. Rejects where this user may not ask. */
export function greetSocket(path: string): Promise<string | null> {
  return new Promise((resolve, reject) => {
    let heard = '';
    const socket = connect({ path });
    const settle = (answer: string | null): void => {
      socket.destroy();
      resolve(answer);
    };
    socket.setEncoding('utf8');
    socket.setTimeout(GREETING_TIMEOUT_MS, () => settle(heard));
    socket.on('data', (chunk: string) => {
      heard += chunk;
      if (heard.length > MAX_GREETING_CHARS) settle(heard.slice(0, MAX_GREETING_CHARS));
    });
    socket.on('end', () => settle(heard));
    socket.on('error', (error: NodeJS.ErrnoException) => {
      if (FORBIDDEN.has(error.code ?? '')) reject(error);
      // Anything else (EAGAIN: its backlog is full) does not prove that nobody is there.
      else settle(FREE.has(error.code ?? '') ? null : heard);
    });
  });
}
