import { connect } from 'node:net';
import { until } from '../core/load.mjs';

const MARK = Buffer.from('event: progress');
const REQUEST = 'GET /events HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: text/event-stream\r\n\r\n';
const AT_ONCE = 100;

/** Clients that count progress events in what arrives, and nothing else. `isDeaf`: they read the headers, and nothing more. */
export async function run({ port, clients, isDeaf = false }) {
  const counts = new Array(clients).fill(0);
  let connected = 0;
  let bytes = 0;
  const open = (index) => {
    const socket = connect(port, '127.0.0.1', () => socket.write(REQUEST));
    // An event may be cut in two.
    let rest = Buffer.alloc(0);
    let isOpen = false;
    socket.on('error', (error) => console.error(error));
    socket.on('data', (chunk) => {
      // The headers: the server knows this client.
      if (!isOpen) connected++;
      isOpen = true;
      if (isDeaf) return socket.pause();
      bytes += chunk.length;
      const text = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
      let from = 0;
      for (let found = text.indexOf(MARK); found !== -1; found = text.indexOf(MARK, from)) {
        counts[index]++;
        from = found + MARK.length;
      }
      rest = text.subarray(Math.max(from, text.length - MARK.length + 1));
    });
  };
  for (let opened = 0; opened < clients; opened += AT_ONCE) {
    const upTo = Math.min(clients, opened + AT_ONCE);
    for (let index = opened; index < upTo; index++) open(index);
    await until(() => connected === upTo, `${upTo} clients`, 60_000, 5);
  }
  bytes = 0;
  const all = async ({ events }) => {
    await until(() => counts.every((count) => count >= events), 'Not every client had every event', 120_000, 1);
    const endedAt = Date.now();
    const received = counts.reduce((sum, count) => sum + count, 0);
    if (received !== events * clients) throw new Error(`${received} events came, not ${events * clients}.`);
    return { endedAt, received, bytes };
  };
  return { calls: { all }, ready: {} };
}
