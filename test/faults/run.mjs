/**
 * The fault suite: everything that we know how to break, in full size, and 150 rounds of SIGKILL beside it.
 *
 *   npm run test:faults
 *
 * Prints what it met, and fails when that was less than it has to be. Exits with 1 when anything failed; the counts of tests are its
 * last line.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createWriteStream, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const CRASH_ROUNDS = 150;
/** Fewer would say that something was not run. */
const LEAST = { 'crash states': 20_000, faults: 3_000, 'model runs': 500, kills: CRASH_ROUNDS };
const JEST = ['--experimental-vm-modules', '--disable-warning=ExperimentalWarning', 'node_modules/jest/bin/jest.js'];
const root = fileURLToPath(new URL('../..', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'taskflow-faults-'));
const [report, tally, crashOutput] = ['jest.json', 'tally.jsonl', 'crash.txt'].map((name) => join(folder, name));

async function run(args, stdout, env = {}) {
  const child = spawn(process.execPath, args, { cwd: root, stdio: ['ignore', stdout, 'inherit'], env: { ...process.env, ...env } });
  const [code] = await once(child, 'exit');
  return code ?? 1;
}

/** Its output would be torn by that of the tests: it is printed at the end. */
async function crashRounds() {
  const output = createWriteStream(crashOutput);
  await once(output, 'open');
  const code = await run(['test/crash/run.mjs', '--rounds', String(CRASH_ROUNDS)], output);
  output.end();
  return code;
}

const startedAt = performance.now();
// Two workers and the rounds on two cores: most of either waits for processes that start.
const suite = [...JEST, '--selectProjects', 'faults', '--maxWorkers=2', '--json', `--outputFile=${report}`, ...process.argv.slice(2)];
const [suiteCode, crashCode] = await Promise.all([
  run(suite, 'inherit', { TASKFLOW_FAULTS: 'full', TASKFLOW_FAULTS_TALLY: tally }),
  crashRounds(),
]);

const crash = readFileSync(crashOutput, 'utf8');
console.log(`\n── ${CRASH_ROUNDS} rounds of SIGKILL\n${crash}`);
const met = { 'crash states': 0, faults: 0, 'model runs': 0, kills: 0 };
const seeds = new Set([/^seed (\S+)$/m.exec(crash)?.[1] ?? 'unknown']);
for (const line of readFileSync(tally, 'utf8').trim().split('\n')) {
  const { what, count, seed } = JSON.parse(line);
  met[what] += count;
  if (seed !== undefined) seeds.add(seed);
}
// A count that is not there is no number, and less than what has to be.
const [, rounds, early] = /^rounds +(\d+), and (\d+) kills/m.exec(crash) ?? [];
met.kills += Number(rounds) + Number(early) + Number(/^flush workers killed +(\d+)$/m.exec(crash)?.[1]);

const { numPassedTests, numFailedTests, numRuntimeErrorTestSuites, numPendingTests } = JSON.parse(readFileSync(report, 'utf8'));
rmSync(folder, { recursive: true, force: true });
const tooFew = Object.entries(LEAST).filter(([what, least]) => !(met[what] >= least));
for (const [what, least] of tooFew) console.log(`FAILED: ${met[what]} ${what}, at least ${least} are wanted`);
const failed = numFailedTests + numRuntimeErrorTestSuites + (crashCode === 0 ? 0 : 1) + tooFew.length;
console.log(
  `${Object.entries(met)
    .map(([what, count]) => `${count} ${what}`)
    .join(', ')}; seeds ${[...seeds].join(', ')}; ${Math.round((performance.now() - startedAt) / 1000)} s`,
);
console.log(`${numPassedTests + (crashCode === 0 ? 1 : 0)} passed, ${failed} failed, ${numPendingTests} skipped`);
process.exit(suiteCode === 0 && failed === 0 && numPassedTests > 0 ? 0 : 1);
