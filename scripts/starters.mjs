#!/usr/bin/env node
/**
 * Makes the starters of Nest from scratch, as `nest new` does, installs this package as it would be published, pastes the code of the pages,
 * and has it compiled, tested and run: Nest 11 as CommonJS with ts-jest, Nest 12 as ES modules with Vitest. Anyone can run it, where packages
 * can be installed; elsewhere it says so, and does nothing.
 *
 *   npm run test:starters                  both
 *   npm run test:starters -- --only 11     one of them
 *   npm run test:starters -- --whole       with linters and all that `nest new` lists
 *   npm run test:starters -- --keep        the folders stay, and are named
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const root = fileURLToPath(new URL('..', import.meta.url));
const { values: options } = parseArgs({
  options: { only: { type: 'string' }, whole: { type: 'boolean', default: false }, keep: { type: 'boolean', default: false } },
});
const MINUTE = 60_000;
const STEP_LIMIT_MS = 10 * MINUTE;
const SQLITE = 'node_modules/sqlite3/build/Release/node_sqlite3.node';
const QUIETLY = ['--no-audit', '--no-fund', '--prefer-offline', '--loglevel=error'];
/** Of what `nest new` lists, what neither compiles nor tests nor runs. */
const BESIDE = /eslint|oxlint|prettier|^@nestjs\/mau$|coverage|^globals$|source-map-support|ts-loader|^ts-node$|^tsconfig-paths$/;
const STARTERS = [
  {
    nest: '11',
    name: 'Nest 11, CommonJS, ts-jest',
    prepare: transformsEsm,
    inSource: (code) => code.replaceAll(/from '(\.[^']*)\.js'/g, "from '$1'"),
  },
  { nest: '12', name: 'Nest 12, ES modules, Vitest', prepare: () => undefined, inSource: (code) => code },
].filter(({ nest }) => options.only === undefined || options.only === nest);
if (STARTERS.length === 0) throw new Error(`--only takes 11 or 12, got ${options.only}.`);

const page = (file) => readFileSync(join(root, file), 'utf8');
const README = page('README.md');

/** The code of the pages, by where it goes. */
function pasted() {
  const application = /## A whole example\n+```ts\n(.*?)```/s.exec(README)?.[1];
  if (application === undefined) throw new Error('README.md has no code under "A whole example".');
  const files = { 'app.module.ts': application };
  for (const [, file, code] of page('docs/testing.md').matchAll(/<!-- file: \S+\/(\S+?)(?:\.e2e-spec)?\.ts -->\n+```ts\n(.*?)```/gs))
    files[code.includes('describe(') ? `${file}.spec.ts` : `${file}.ts`] = code;
  if (Object.keys(files).length !== 4) throw new Error(`The pages gave ${Object.keys(files).join(', ')}.`);
  return files;
}

/** The one option that the README names for a CommonJS Jest. */
function transformsEsm(manifest) {
  const pattern = /transformIgnorePatterns: \['([^']+)'\]/.exec(README)?.[1];
  if (pattern === undefined) throw new Error('README.md names no transformIgnorePatterns.');
  manifest.jest.transformIgnorePatterns = [pattern];
}

/** @returns what it said; throws with it when it failed. */
async function run(cwd, command, args, env = {}) {
  const child = spawn(command, args, {
    cwd,
    env: { ...process.env, NODE_OPTIONS: '', CI: '1', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const limit = setTimeout(() => child.kill('SIGKILL'), STEP_LIMIT_MS);
  let said = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (said += chunk));
  const [code, signal] = await once(child, 'close');
  clearTimeout(limit);
  if (code !== 0) throw new Error(`${command} ${args.join(' ')} ended with ${code ?? signal}:\n${said}`);
  return said;
}

async function step(name, work) {
  const start = performance.now();
  const result = await work();
  console.log(`  ${name}: ${((performance.now() - start) / 1000).toFixed(1)} s`);
  return result;
}

async function make(folder, { nest, prepare, inSource }, tarball) {
  const app = join(folder, 'starter');
  const flags = ['--skip-install', '--skip-git', '--package-manager', 'npm'];
  await step('nest new', () => run(folder, 'npx', ['--yes', `@nestjs/cli@${nest}`, 'new', 'starter', ...flags]));
  const manifest = JSON.parse(readFileSync(join(app, 'package.json'), 'utf8'));
  prepare(manifest);
  if (!options.whole)
    for (const name of Object.keys(manifest.devDependencies)) if (BESIDE.test(name)) delete manifest.devDependencies[name];
  writeFileSync(join(app, 'package.json'), JSON.stringify(manifest, null, 2));
  for (const [name, code] of Object.entries(pasted())) writeFileSync(join(app, 'src', name), inSource(code));
  const main = join(app, 'src/main.ts');
  writeFileSync(main, readFileSync(main, 'utf8').replace('  await app.listen', '  app.enableShutdownHooks();\n  await app.listen'));
  const { version } = JSON.parse(page('node_modules/sqlite3/package.json'));
  const peers = ['typeorm@^0.3.31', `sqlite3@${version}`, 'class-validator', 'class-transformer'];
  // What is compiled is there already, and takes a minute.
  await step('npm install', () => run(app, 'npm', ['install', '--ignore-scripts', ...QUIETLY, tarball, ...peers]));
  mkdirSync(dirname(join(app, SQLITE)), { recursive: true });
  copyFileSync(join(root, SQLITE), join(app, SQLITE));
  return app;
}

const freePort = async () => {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  server.close();
  return String(port);
};

/** One submit, its stream to the end, and a SIGTERM. */
async function serve(app) {
  const PORT = await freePort();
  const main = ['dist/main.js', 'dist/src/main.js'].find((file) => existsSync(join(app, file)));
  const child = spawn(process.execPath, [main], {
    cwd: app,
    env: { ...process.env, NODE_OPTIONS: '', PORT },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const limit = setTimeout(() => child.kill('SIGKILL'), 2 * MINUTE);
  let said = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (said += chunk));
  const exit = once(child, 'exit');
  try {
    const url = `http://127.0.0.1:${PORT}/emails`;
    const headers = { 'content-type': 'application/json' };
    const body = JSON.stringify({ to: 'a@b.example', subject: 'starter' });
    let answer;
    while (answer === undefined) {
      answer = await fetch(url, { method: 'POST', headers, body }).catch(() => undefined);
      if (child.exitCode !== null) throw new Error('it ended');
      if (answer === undefined) await new Promise((resolve) => setTimeout(resolve, 50));
    }
    const { idempotencyKey } = await answer.json();
    const events = await (await fetch(`${url}/${idempotencyKey}/events`)).text();
    if (answer.status !== 201 || !/event: progress[^]*event: complete/.test(events)) throw new Error(`it gave ${answer.status}, ${events}`);
    child.kill('SIGTERM');
    const [code, signal] = await exit;
    if (code !== 0 && signal !== 'SIGTERM') throw new Error(`SIGTERM ended it with ${code ?? signal}`);
  } catch (error) {
    throw new Error(`The application was not served: ${error.message}\n${said}`);
  } finally {
    clearTimeout(limit);
    child.kill('SIGKILL');
  }
}

/** Undefined: packages can be installed. */
async function whyNoRegistry() {
  try {
    await run(root, 'npm', ['view', '@nestjs/core@11', 'version', '--fetch-retries=0', '--loglevel=error']);
    return undefined;
  } catch (error) {
    return /npm error code (\S+)/.exec(error.message)?.[1] ?? 'npm view failed';
  }
}

async function test(starter, tarball) {
  const folder = mkdtempSync(join(tmpdir(), `taskflow-nest-${starter.nest}-`));
  console.log(`${starter.name}${options.keep ? ` in ${folder}` : ''}`);
  try {
    const app = await make(folder, starter, tarball);
    await step('npm run build', () => run(app, 'npm', ['run', 'build']));
    const said = await step('npm test', () => run(app, 'npm', ['test']));
    if (!/7 passed/.test(said)) throw new Error(`npm test ran other tests than the pages have, and the starter's own:\n${said}`);
    await step('served, watched, stopped', () => serve(app));
    return true;
  } catch (error) {
    console.error(`FAILED ${starter.name}: ${error.message}`);
    return false;
  } finally {
    if (!options.keep) rmSync(folder, { recursive: true, force: true });
  }
}

const offline = await whyNoRegistry();
if (offline !== undefined) {
  console.log(`SKIPPED: no package registry (${offline}).`);
} else {
  const folder = mkdtempSync(join(tmpdir(), 'taskflow-pack-'));
  try {
    const packed = (await run(root, 'npm', ['pack', '--silent', '--pack-destination', folder])).trim().split('\n').at(-1);
    let failed = 0;
    for (const starter of STARTERS) if (!(await test(starter, join(folder, packed)))) failed += 1;
    process.exitCode = failed === 0 ? 0 : 1;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
