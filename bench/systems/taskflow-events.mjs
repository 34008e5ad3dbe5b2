import { setTimeout as pause } from 'node:timers/promises';
import { openSystem } from './taskflow.mjs';

const AWAIT_EVERY = 500;
const SLOW_EVERY = 100;

/** Progress of one task; every event and the terminal one must come, in order, and none may be refused, whoever reads. */
export async function events({ events: many, awaited, warmUp }) {
  await perSecond(warmUp, AWAIT_EVERY, observed);
  await perSecond(warmUp / 10, 1, observed);
  return {
    awaitedPerSecond: await perSecond(awaited, 1, observed),
    perSecond: await perSecond(many, AWAIT_EVERY, observed),
    iteratedPerSecond: await perSecond(many, AWAIT_EVERY, iterated),
    slowReaderPerSecond: await perSecond(many, AWAIT_EVERY, readSlowly),
    // Thrown above when it is not so.
    lost: 0,
  };
}

async function perSecond(count, awaitEvery, receive) {
  const refused = [];
  async function report(_input, ctx) {
    for (let number = 1; number <= count; number++) {
      const written = ctx.progress({ done: number, of: count });
      if (number % awaitEvery === 0) await written;
      else written.catch((error) => refused.push(error));
    }
  }
  const { system, close } = await openSystem({ report });
  try {
    const startedAt = performance.now();
    const task = await system.submit('report', { input: null });
    const seqs = await receive(system.subscribe(task));
    const elapsedMs = performance.now() - startedAt;
    // created, start and complete are events too.
    const isWhole = seqs.length === count + 3 && seqs.every((seq, at) => seq === at + 1);
    if (!isWhole || refused.length > 0) throw new Error(`${seqs.length} of ${count + 3} events came, ${refused.length} were refused.`);
    return (count / elapsedMs) * 1000;
  } finally {
    await close();
  }
}

function observed(stream) {
  return new Promise((resolve, reject) => {
    const seqs = [];
    stream.subscribe({ next: ({ seq }) => seq !== undefined && seqs.push(seq), error: reject, complete: () => resolve(seqs) });
  });
}

async function iterated(stream) {
  const seqs = [];
  for await (const { seq } of stream) if (seq !== undefined) seqs.push(seq);
  return seqs;
}

/** Far behind the writer: most of what it reads comes from the log, not from memory. */
async function readSlowly(stream) {
  const seqs = [];
  for await (const { seq } of stream) {
    if (seq !== undefined) seqs.push(seq);
    if (seqs.length % SLOW_EVERY === 0) await pause(1);
  }
  return seqs;
}
