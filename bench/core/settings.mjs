import { mkdir, mkdtemp, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** On the disk of the checkout: a temporary folder may be memory. */
const WORK = fileURLToPath(new URL('../.work/', import.meta.url));
/** Of one run: its children are told of it. */
process.env.BENCH_WORK ??= join(WORK, String(process.pid));
const ROOT = process.env.BENCH_WORK;

/** About 200 bytes of JSON, as a small mail or report request has. */
export const INPUT = Object.freeze({ to: 'somebody@example.com', subject: 'Your report is ready', body: 'x'.repeat(120) });

export const CONCURRENCY = 50;
export const CALLERS = 256;

export async function newFolder() {
  await mkdir(ROOT, { recursive: true });
  return mkdtemp(join(ROOT, 'run-'));
}

export const removeFolder = (folder) => rm(folder, { recursive: true, force: true });

/** What this run left, and what runs left that were killed. */
export async function removeWork() {
  await removeFolder(ROOT);
  for (const run of await readdir(WORK).catch(() => [])) if (!isRunning(Number(run))) await removeFolder(join(WORK, run));
}

function isRunning(pid) {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return error.code === 'EPERM';
  }
}
