import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { cpus, release, totalmem, type } from 'node:os';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';

const require = createRequire(import.meta.url);
const HERE = fileURLToPath(new URL('..', import.meta.url));

export function describeMachine() {
  return {
    cpu: `${cpus().length} x ${cpus()[0]?.model.trim() ?? 'unknown CPU'}`,
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    system: `${type()} ${release()}`,
    fileSystem: fileSystem(),
    node: process.version,
  };
}

/** Of the folder that the benchmark writes to. */
function fileSystem() {
  try {
    return execFileSync('stat', ['--file-system', '--format=%T', HERE], { encoding: 'utf8' }).trim();
  } catch {
    return 'unknown';
  }
}

export function commit() {
  try {
    return execFileSync('git', ['rev-parse', '--short', 'HEAD'], { cwd: HERE, encoding: 'utf8' }).trim();
  } catch {
    return 'unknown';
  }
}

/** The installed version, or undefined. */
export function versionOf(name) {
  for (const path of require.resolve.paths(name) ?? []) {
    const file = `${path}/${name}/package.json`;
    if (existsSync(file)) return JSON.parse(readFileSync(file, 'utf8')).version;
  }
  return undefined;
}
