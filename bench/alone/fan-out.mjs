import { ask, inChild, spawnChild } from '../core/child.mjs';

const at = (name) => new URL(`./${name}.mjs`, import.meta.url).href;
const SERVERS = { taskflow: at('sse-server'), 'plain-http': at('plain-server') };
const MAX_ROUNDS = 3;

/** W7: one task's events to many subscribers in the process, and over SSE to clients in another one, next to plain node:http. */
export async function measure({ quick, rounds, note }) {
  const sizes = quick ? [1, 100] : [1, 10, 100, 1_000];
  const clients = quick ? [50] : [100, 1_000];
  for (let round = 1; round <= Math.min(rounds, MAX_ROUNDS); round++) {
    for (const subscribers of sizes) {
      const events = Math.ceil((quick ? 50_000 : 200_000) / Math.max(subscribers, 20));
      note({
        system: 'taskflow',
        variant: `in-process-${subscribers}`,
        round,
        figures: await inChild(at('fan-out-run'), { subscribers, events }),
      });
    }
    for (const count of clients)
      for (const system of round % 2 === 0 ? Object.keys(SERVERS) : Object.keys(SERVERS).toReversed())
        note({ system, variant: `sse-${count}`, round, figures: await overSse(SERVERS[system], count, quick ? 50 : 100) });
  }
}

async function overSse(server, clients, events) {
  const [writer, reader] = [spawnChild(), spawnChild()];
  try {
    const { port } = await ask(writer, { module: server, params: { events } });
    await ask(reader, { module: at('sse-clients'), params: { port, clients } });
    const { startedAt } = await ask(writer, { call: 'start', params: {} });
    const { endedAt, received, bytes } = await ask(reader, { call: 'all', params: { events } });
    return { perSecond: (received / (endedAt - startedAt)) * 1000, bytesPerEvent: bytes / received };
  } finally {
    for (const child of [reader, writer]) child.kill('SIGKILL');
  }
}
