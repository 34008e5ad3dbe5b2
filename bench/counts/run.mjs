import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { ask, inChild, spawnChild } from '../core/child.mjs';
import { newFolder, removeFolder, removeWork } from '../core/settings.mjs';
import { compare, TOLERANCES } from './comparison.mjs';

const at = (name) => new URL(`./${name}.mjs`, import.meta.url).href;
const BASELINE = fileURLToPath(new URL('../baseline.json', import.meta.url));
const FLUSHED_TASKS = 1_000;

/**
 * A new space that holds all that is allocated, so that nothing is collected while it is counted; and no optimising compiler,
 * which leaves out some allocations at a moment of its own choosing. So these are more bytes than in production, but always
 * the same ones.
 */
const EXACT = ['--min-semi-space-size=1024', '--max-semi-space-size=1024', '--no-opt', '--no-sparkplug'];

const USAGE = `npm run bench:counts [-- --update]
Counts what a submit, a task, an event and a flush cost, and fails where it is more than bench/baseline.json allows.
  --update  writes what was counted as the new baseline of this Node version`;

async function countAll() {
  const counts = {};
  for (const kind of ['submit', 'run', 'progress']) counts[kind] = await inChild(at('task-counts'), { kind }, { execArgv: EXACT });
  counts.flush = await countFlush();
  return counts;
}

async function countFlush() {
  const folder = await newFolder();
  const writer = spawnChild();
  const { workerPid, flushedEntries } = await ask(writer, { module: at('crash-writer'), params: { folder, tasks: FLUSHED_TASKS } });
  const ended = new Promise((resolve) => writer.once('exit', resolve));
  writer.kill('SIGKILL');
  process.kill(workerPid, 'SIGKILL');
  await ended;
  if (flushedEntries > 0) throw new Error('Some entries were flushed before the crash: what is left to flush is not always the same.');
  const counts = await inChild(at('flush-counts'), { folder });
  await removeFolder(folder);
  return counts;
}

async function main() {
  const { values } = parseArgs({ options: { update: { type: 'boolean', default: false }, help: { type: 'boolean', default: false } } });
  if (values.help) return void console.log(USAGE);
  const counts = await countAll();
  await removeWork();
  const major = process.version.split('.')[0];
  const baselines = existsSync(BASELINE) ? JSON.parse(readFileSync(BASELINE, 'utf8')) : {};
  if (values.update) {
    baselines[major] = counts;
    writeFileSync(BASELINE, `${JSON.stringify(baselines, null, 2)}\n`);
  }
  const { lines, exceeded, isBelow } = compare(counts, baselines, major);
  for (const line of lines) console.log(line);
  if (isBelow) console.log('Some counts are well below the baseline: keep what was won with "npm run bench:counts -- --update".');
  if (exceeded === 0) return;
  console.error(`\n${exceeded} counts are above the baseline by more than their tolerance (${toleranceText()}).`);
  console.error('If a promise needs the cost, say which in the commit that updates the baseline: npm run bench:counts -- --update');
  process.exitCode = 1;
}

const toleranceText = () => TOLERANCES.map(({ what, share }) => `${what} ${share * 100} %`).join(', ');

await main();
