import { ask, spawnChild } from '../core/child.mjs';

const at = (name) => new URL(`./${name}.mjs`, import.meta.url).href;
/** Bytes of the payload of each event that is not read. */
const PADDING = 1_000;

/** W10: what SSE clients cost that do nothing, that do not read, that replay, and that are there when the application closes. */
export async function measure({ quick, note }) {
  for (const adapter of ['express', 'fastify']) {
    const keep = (variant, figures) => note({ system: 'taskflow', variant: `${variant}-${adapter}`, round: 1, figures });
    keep('idle', await idle(adapter, quick ? 1_000 : 10_000));
    keep('stalled', await stalled(adapter, 20, quick ? 2_000 : 10_000));
    keep('replay', await replay(adapter, quick ? 2_000 : 10_000));
  }
}

async function withServer(params, use) {
  const [server, clients] = [spawnChild({ gc: true }), spawnChild()];
  try {
    const { port } = await ask(server, { module: at('sse-server'), params });
    return await use(server, clients, port);
  } finally {
    for (const child of [server, clients]) child.kill('SIGKILL');
  }
}

const memoryOf = (server) => ask(server, { call: 'memory', params: {} });

/** Resident bytes of each stream, after a collection; and how long `app.close()` takes with 1,000 of them. */
function idle(adapter, count) {
  return withServer({ events: 0, adapter }, async (server, clients, port) => {
    // Code is compiled and pools are filled by the first ones.
    const warm = 1_000;
    await ask(clients, { module: at('sse-clients'), params: { port, clients: warm } });
    const before = await memoryOf(server);
    const more = spawnChild();
    try {
      await ask(more, { module: at('sse-clients'), params: { port, clients: count } });
      const after = await memoryOf(server);
      if (after.subscribers !== warm + count) throw new Error(`${after.subscribers} streams are open, not ${warm + count}.`);
      const residentPerStream = (after.rss - before.rss) / count;
      const heapPerStream = (after.heap - before.heap) / count;
      more.kill('SIGKILL');
      while ((await memoryOf(server)).subscribers > warm);
      const { closeMs } = await ask(server, { call: 'close', params: {} });
      return { residentPerStream, heapPerStream, closeMs };
    } finally {
      more.kill('SIGKILL');
    }
  });
}

/** Memory that each client adds which asked for a stream and reads nothing of it, while another one reads all. */
function stalled(adapter, count, events) {
  return withServer({ events, adapter, padding: PADDING }, async (server, clients, port) => {
    await ask(clients, { module: at('sse-clients'), params: { port, clients: 1 } });
    const others = spawnChild();
    try {
      await ask(others, { module: at('sse-clients'), params: { port, clients: count, isDeaf: true } });
      const before = await memoryOf(server);
      await ask(server, { call: 'start', params: {} });
      await ask(clients, { call: 'all', params: { events } });
      const after = await memoryOf(server);
      const { rss } = await controlled(adapter, events);
      return { residentPerClient: (after.rss - before.rss - rss) / count, heapPerClient: (after.heap - before.heap) / count };
    } finally {
      others.kill('SIGKILL');
    }
  });
}

/** The same events, with nobody who does not read: what the server itself grows by. */
function controlled(adapter, events) {
  return withServer({ events, adapter, padding: PADDING }, async (server, clients, port) => {
    await ask(clients, { module: at('sse-clients'), params: { port, clients: 1 } });
    const before = await memoryOf(server);
    await ask(server, { call: 'start', params: {} });
    await ask(clients, { call: 'all', params: { events } });
    const after = await memoryOf(server);
    return { rss: after.rss - before.rss };
  });
}

/** From the connection of one client until it has all stored events. */
function replay(adapter, stored) {
  return withServer({ events: 0, adapter, stored }, async (_server, clients, port) => {
    const startedAt = Date.now();
    await ask(clients, { module: at('sse-clients'), params: { port, clients: 1 } });
    const { endedAt } = await ask(clients, { call: 'all', params: { events: stored } });
    return { perSecond: (stored / (endedAt - startedAt)) * 1000, replayMs: endedAt - startedAt };
  });
}
