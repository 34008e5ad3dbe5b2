import { openSystem } from '../systems/taskflow.mjs';

const AWAIT_EVERY = 500;

/** Deliveries a second: events of one task times its subscribers, all of whom must have every event and the end. */
export async function run({ subscribers, events }) {
  await deliver(subscribers, Math.ceil(events / 4));
  return { perSecond: await deliver(subscribers, events) };
}

async function deliver(subscribers, events) {
  let begin;
  const begun = new Promise((resolve) => (begin = resolve));
  async function report(_input, ctx) {
    await begun;
    for (let number = 1; number <= events; number++) {
      const written = ctx.progress({ done: number, of: events });
      if (number % AWAIT_EVERY === 0) await written;
      else written.catch((error) => refused.push(error));
    }
  }
  const refused = [];
  const { system, close } = await openSystem({ report });
  try {
    const task = await system.submit('report', { input: null });
    const all = Array.from({ length: subscribers }, () => received(system.subscribe(task)));
    const startedAt = performance.now();
    begin();
    const counts = await Promise.all(all);
    const elapsedMs = performance.now() - startedAt;
    if (refused.length > 0 || counts.some((count) => count !== events + 3))
      throw new Error(`Not every subscriber had ${events + 3} events.`);
    return ((events * subscribers) / elapsedMs) * 1000;
  } finally {
    await close();
  }
}

function received(stream) {
  return new Promise((resolve, reject) => {
    let count = 0;
    stream.subscribe({ next: ({ seq }) => seq !== undefined && count++, error: reject, complete: () => resolve(count) });
  });
}
