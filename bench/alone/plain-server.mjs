import { once } from 'node:events';
import { createServer } from 'node:http';
import { setImmediate as nextTurn } from 'node:timers/promises';

const taskId = '01890a5d-ac96-774b-bcce-b302099a8057';

/** The least that fan-out over SSE costs: one text per event, written to every client. */
export async function run({ events }) {
  const clients = new Set();
  const server = createServer((_request, response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-cache' });
    response.flushHeaders();
    clients.add(response);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const start = async () => {
    const startedAt = Date.now();
    void writeAll(clients, events);
    return { startedAt };
  };
  return { calls: { start }, ready: { port: server.address().port } };
}

async function writeAll(clients, events) {
  for (let number = 1; number <= events; number++) {
    const data = { seq: number + 2, type: 'progress', taskId, attempt: 1, timestamp: Date.now(), payload: { done: number, of: events } };
    const text = Buffer.from(`event: progress\nid: ${number + 2}\ndata: ${JSON.stringify(data)}\n\n`);
    for (const client of clients) client.write(text);
    await nextTurn();
  }
}
