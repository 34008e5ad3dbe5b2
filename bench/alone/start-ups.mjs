import { ask, inChild, spawnChild } from '../core/child.mjs';
import { newFolder, removeFolder } from '../core/settings.mjs';
import { prepare } from './cost.mjs';

const WRITER = new URL('./crash-writer.mjs', import.meta.url).href;
const START = new URL('./start-up.mjs', import.meta.url).href;

/** W6: how soon a new process accepts its first submit. */
export async function measure({ quick, rounds, note, say }) {
  const start = async (variant, round, folder) =>
    note({ system: 'taskflow', variant, round, figures: await inChild(START, { folder, spawnedAt: Date.now() }) });

  const entries = quick ? 10_000 : 100_000;
  for (let round = 1; round <= rounds; round++) {
    const folder = await crashedFolder(entries, say);
    await start(`unflushed-${entries}`, round, folder);
    await removeFolder(folder);
  }
  const finished = quick ? 20_000 : 1_000_000;
  const folder = await prepare('finished', finished, say);
  for (let round = 1; round <= rounds; round++) await start(`history-${finished}`, round, folder);
  await removeFolder(folder);
}

/** The folder of a process that was killed, and its flush worker with it, before the database had what the log holds. */
async function crashedFolder(entries, say) {
  const folder = await newFolder();
  const child = spawnChild();
  const { workerPid, unflushed } = await ask(child, { module: WRITER, params: { folder, entries } });
  const ended = new Promise((resolve) => child.once('exit', resolve));
  child.kill('SIGKILL');
  process.kill(workerPid, 'SIGKILL');
  await ended;
  if (unflushed < entries) throw new Error(`Only ${unflushed} entries were left unflushed.`);
  say(`killed with ${unflushed.toLocaleString('en-US')} entries unflushed`);
  return folder;
}
