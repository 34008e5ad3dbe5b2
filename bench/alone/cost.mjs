import { ask, inChild, spawnChild } from '../core/child.mjs';
import { newFolder, removeFolder } from '../core/settings.mjs';

const LOADED = new URL('./loaded-system.mjs', import.meta.url).href;
const PREPARED = new URL('./prepared-folder.mjs', import.meta.url).href;
const WARM_UP = 4_000;
const SUBMITS = 10_000;
const TASKS = 6_000;

const FULL = {
  history: [
    { size: 100_000, pairs: 5 },
    { size: 1_000_000, pairs: 15 },
  ],
  backlog: [
    { size: 100, pairs: 3 },
    { size: 1_000, pairs: 3 },
    { size: 10_000, pairs: 3 },
    { size: 100_000, pairs: 3 },
    { size: 1_000_000, pairs: 15 },
  ],
};
const QUICK = {
  history: [{ size: 20_000, pairs: 1 }],
  backlog: [
    { size: 100, pairs: 1 },
    { size: 20_000, pairs: 1 },
  ],
};

/** W8: W1 and W2 of a system with history or backlog, next to those of an empty one, in turns. */
export async function measure({ quick, note, say }) {
  const { history, backlog } = quick ? QUICK : FULL;
  for (const { size, pairs } of history) await costOfHistory(size, pairs, note, say);
  for (const { size, pairs } of backlog) await costOfBacklog(size, pairs, note);
}

/** A folder with many tasks, made once. */
export async function prepare(kind, tasks, say) {
  const folder = await newFolder();
  const startedAt = performance.now();
  await inChild(PREPARED, { folder, kind, tasks });
  say(`prepared ${tasks.toLocaleString('en-US')} ${kind} tasks in ${((performance.now() - startedAt) / 1000).toFixed(0)} s`);
  return folder;
}

/** Both sides start anew for every pair, so that the empty one stays empty. */
async function costOfHistory(size, pairs, note, say) {
  const folder = await prepare('finished', size, say);
  try {
    for (let pair = 1; pair <= pairs; pair++) {
      const sides = {};
      for (const side of order(pair)) {
        const child = await openChild({ folder: side === 'loaded' ? folder : undefined, backlog: 0 });
        sides[side] = await measureOnce(child, true);
        await closeChild(child);
      }
      note(pairOf('history', size, pair, sides));
    }
  } finally {
    await removeFolder(folder);
  }
}

/** Both sides stay: a million queued tasks take a while to load. Each measurement leaves as many queued as it found. */
async function costOfBacklog(size, pairs, note) {
  const isLarge = size > 100_000;
  const folder = isLarge ? await prepare('queued', size, () => undefined) : undefined;
  const [empty, loaded] = [await openChild({ backlog: 0 }), await openChild({ folder, backlog: size })];
  try {
    for (const child of [empty, loaded]) await ask(child.process, { call: 'endToEnd', params: { tasks: WARM_UP } });
    for (let pair = 1; pair <= pairs; pair++) {
      const sides = {};
      for (const side of order(pair)) sides[side] = await measureOnce(side === 'empty' ? empty : loaded, false);
      note(pairOf('backlog', size, pair, sides));
    }
  } finally {
    await Promise.all([closeChild(empty), closeChild(loaded)]);
    if (folder !== undefined) await removeFolder(folder);
  }
}

const order = (pair) => (pair % 2 === 0 ? ['empty', 'loaded'] : ['loaded', 'empty']);

async function openChild(params) {
  const child = spawnChild();
  return { process: child, ready: await ask(child, { module: LOADED, params }) };
}

async function closeChild(child) {
  const ended = new Promise((resolve) => child.process.once('exit', resolve));
  await ask(child.process, { call: 'close' });
  await ended;
}

async function measureOnce(child, warmUp) {
  if (warmUp) await ask(child.process, { call: 'endToEnd', params: { tasks: WARM_UP } });
  const submit = await ask(child.process, { call: 'submit', params: { tasks: SUBMITS } });
  const endToEnd = await ask(child.process, { call: 'endToEnd', params: { tasks: TASKS } });
  return { submit, endToEnd, readyMs: child.ready.readyMs, loadedMs: child.ready.loadedMs };
}

const pairOf = (what, size, round, { empty, loaded }) => ({
  system: 'taskflow',
  round,
  variant: `${what}-${size}`,
  figures: {
    submitRatio: loaded.submit.perSecond / empty.submit.perSecond,
    endToEndRatio: loaded.endToEnd.perSecond / empty.endToEnd.perSecond,
    submitCpuRatio: loaded.submit.cpuMicros / empty.submit.cpuMicros,
    endToEndCpuRatio: loaded.endToEnd.cpuMicros / empty.endToEnd.cpuMicros,
    submitPerSecond: loaded.submit.perSecond,
    endToEndPerSecond: loaded.endToEnd.perSecond,
    emptySubmitPerSecond: empty.submit.perSecond,
    emptyEndToEndPerSecond: empty.endToEnd.perSecond,
    readyMs: loaded.readyMs,
    loadedMs: loaded.loadedMs,
  },
});
