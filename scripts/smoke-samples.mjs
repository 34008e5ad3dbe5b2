#!/usr/bin/env node
/**
 * Starts every built sample in an empty folder: one that says where it listens must answer there and stop on SIGTERM; one that does
 * not must end by itself with exit code 0. Needs `npm run build` and `npm run sample:build`.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const LIMIT_MS = 60_000;
const built = resolve(fileURLToPath(new URL('../.sample-dist', import.meta.url)));
const samples = existsSync(built) ? readdirSync(built).filter((name) => existsSync(join(built, name, 'main.js'))) : [];

async function smoke(name) {
  const folder = mkdtempSync(join(tmpdir(), 'taskflow-sample-'));
  const env = { ...process.env, PORT: '0', HOST: '127.0.0.1' };
  const child = spawn(process.execPath, [join(built, name, 'main.js')], { cwd: folder, env, stdio: ['ignore', 'pipe', 'pipe'] });
  const exit = once(child, 'exit');
  const limit = setTimeout(() => child.kill('SIGKILL'), LIMIT_MS);
  let output = '';
  try {
    const address = await new Promise((found) => {
      const read = (chunk) => {
        output += chunk;
        const port = /http:\/\/[\w.]+:(\d+)/.exec(output)?.[1];
        if (port !== undefined) found(`http://127.0.0.1:${port}/`);
      };
      child.stdout.on('data', read);
      child.stderr.on('data', read);
      void exit.then(() => found(undefined));
    });
    if (address !== undefined) {
      const response = await fetch(address, { headers: { connection: 'close' }, signal: AbortSignal.timeout(LIMIT_MS) });
      if (response.status >= 500) throw new Error(`${address} answered ${response.status}`);
      child.kill('SIGTERM');
    }
    const [code, signal] = await exit;
    // With shutdown hooks, Nest ends by the signal it was sent; without, Node does.
    if (code !== 0 && !(address !== undefined && signal === 'SIGTERM')) throw new Error(`ended with ${code ?? signal}`);
    return true;
  } catch (error) {
    console.error(`${name}: ${error.message}\n${output}`);
    return false;
  } finally {
    clearTimeout(limit);
    child.kill('SIGKILL');
    rmSync(folder, { recursive: true, force: true });
  }
}

let failed = 0;
for (const name of samples) {
  const isFine = await smoke(name);
  if (!isFine) failed += 1;
  console.log(`${isFine ? 'ok' : 'FAILED'} ${name}`);
}
if (samples.length === 0) console.error('No built sample found: run npm run build and npm run sample:build first.');
process.exitCode = failed === 0 && samples.length > 0 ? 0 : 1;
