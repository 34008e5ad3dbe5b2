/**
 * The random tests, with chance that they have not had yet. Every other command runs them with one fixed seed.
 *
 *   npm run test:seeds                                    one round
 *   npm run test:seeds -- --rounds 20                     20 rounds, each with a seed of its own
 *   npm run test:seeds -- --seed 798660                   that one again
 *   npm run test:seeds -- --rounds 5 faults/disk          those of the files whose path has that in it
 *
 * A failure names its seed. Exits with 1 when any round failed.
 */
import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const root = fileURLToPath(new URL('..', import.meta.url));
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { rounds: { type: 'string', default: '1' }, seed: { type: 'string' } },
});
for (const [name, value] of Object.entries(values)) {
  if (!/^[1-9]\d*$/.test(value)) {
    console.error(`--${name} takes a number of 1 or more, not ${value}.`);
    process.exit(2);
  }
}

/** Every test that asks `support/clock/seed.ts` for its chance, itself or through a helper. */
function randomTests() {
  const files = readdirSync(`${root}test`, { recursive: true, encoding: 'utf8' }).filter((file) => file.endsWith('.ts'));
  const texts = new Map(files.map((file) => [`test/${file}`, readFileSync(`${root}test/${file}`, 'utf8')]));
  const uses = (names) => [...texts].filter(([, text]) => names.some((name) => text.includes(`/${name}.js'`))).map(([file]) => file);
  const helpers = uses(['seed']).filter((file) => file.startsWith('test/support/'));
  const tests = uses(['seed', ...helpers.map((file) => basename(file, '.ts'))]);
  return tests.filter((file) => file.endsWith('spec.ts') && positionals.every((part) => file.includes(part)));
}

const tests = randomTests();
if (tests.length === 0) {
  console.error('No random test has that in its path.');
  process.exit(2);
}
const failed = [];
for (let round = 1; round <= Number(values.rounds); round++) {
  const seed = values.seed === undefined ? Math.floor(Math.random() * 2 ** 31) : Number(values.seed) + round - 1;
  console.error(`\n── round ${round} of ${values.rounds}: seed ${seed}, ${tests.length} files`);
  const jest = ['--experimental-vm-modules', '--disable-warning=ExperimentalWarning', 'node_modules/jest/bin/jest.js'];
  const { status } = spawnSync(process.execPath, [...jest, '--runTestsByPath', ...tests], {
    cwd: root,
    stdio: 'inherit',
    env: { ...process.env, TASKFLOW_TEST_SEED: String(seed) },
  });
  if (status !== 0) failed.push(seed);
}
for (const seed of failed) console.error(`FAILED. Again: npm run test:seeds -- --seed ${seed}`);
process.exit(failed.length === 0 ? 0 : 1);
