/**
 * The mutation check: breaks the code in known ways, and sees whether a test notices.
 *
 *   npm run test:mutants
 *   npm run test:mutants -- --only skip-frame-sync,no-lock
 *   npm run test:mutants -- --write        writes docs/mutations.md when all were found
 *
 * Exits with 1 when a mutant survives, when its text is not in the code exactly once, or when its test does not pass on sound code.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { stripVTControlCharacters } from 'node:util';
import { mutated } from './mutated.mjs';
import { MUTANTS } from './mutants.mjs';
import { pageOf } from './page.mjs';
import { MAX_SOUND_MS, Sandbox } from './sandbox.mjs';

const root = fileURLToPath(new URL('../..', import.meta.url));
const seed = process.env.TASKFLOW_TEST_SEED ?? '1';
/** What a mutant that is no program ends with. It proves nothing. */
const NO_PROGRAM = /SyntaxError|is not defined|Cannot find module|ERR_MODULE_NOT_FOUND/;

const argument = (name) => {
  const at = process.argv.indexOf(name);
  return at === -1 ? undefined : process.argv[at + 1];
};
const only = argument('--only')?.split(',');
const chosen = only === undefined ? MUTANTS : MUTANTS.filter(({ id }) => only.includes(id));
if (chosen.length === 0 || (only !== undefined && chosen.length !== only.length))
  throw new Error(`Unknown mutant in --only ${argument('--only') ?? ''}`);

const named = (tests, { test: [file, name] }) => tests.filter((each) => each.file === file && each.name.includes(name));
const line = (...cells) =>
  console.log(
    cells
      .map((cell, at) => String(cell).padEnd([32, 7, 44, 8][at] ?? 0))
      .join('  ')
      .trimEnd(),
  );
const firstLine = (message) =>
  stripVTControlCharacters(message)
    .split('\n')
    .find((text) => text.trim() !== '')
    ?.trim() ?? '';

async function verdictOf(mutant, sandbox, sound) {
  const before = named(sound.tests, mutant).filter(({ status }) => status !== 'pending');
  if (before.length === 0) return { is: 'NO TEST', why: 'no test of that name ran on the sound code' };
  const failed = before.find(({ status }) => status !== 'passed');
  if (failed !== undefined) return { is: 'UNSOUND', why: firstLine(failed.message) };
  const undo = sandbox.mutate(mutant);
  try {
    const { tests, broken } = await sandbox.run([mutant.test[0]], [mutant.test[1]], { TASKFLOW_TEST_SEED: seed });
    const ran = named(tests, mutant).filter(({ status }) => status !== 'pending');
    if (ran.length === 0) return { is: 'DID NOT RUN', why: firstLine(broken[0] ?? 'the named test did not run') };
    const found = ran.find(({ status }) => status === 'failed');
    if (found === undefined) return { is: 'SURVIVED', why: '' };
    return NO_PROGRAM.test(found.message)
      ? { is: 'NO PROGRAM', why: firstLine(found.message) }
      : { is: 'found', why: firstLine(found.message) };
  } finally {
    undo();
  }
}

for (const mutant of chosen) mutated(mutant, (file) => readFileSync(join(root, file), 'utf8'));

const startedAt = performance.now();
const sandbox = new Sandbox(root);
const survivors = [];
try {
  console.log(`${chosen.length} mutants, seed ${seed}; first the named tests on the sound code`);
  const [files, names] = [0, 1].map((part) => [...new Set(chosen.map(({ test }) => test[part]))]);
  const sound = await sandbox.run(files, names, { TASKFLOW_TEST_SEED: seed }, MAX_SOUND_MS);
  for (const message of sound.broken) console.log(message);
  if (process.argv.includes('--slowest'))
    for (const { name, durationMs } of sound.tests.toSorted((a, b) => b.durationMs - a.durationMs).slice(0, 12))
      console.log(Math.round(durationMs), name);
  console.log(`${sound.tests.filter(({ status }) => status === 'passed').length} tests passed on the sound code\n`);
  line('mutant', 'promise', 'file', 'verdict', 'how');
  for (const mutant of chosen) {
    const from = performance.now();
    const { is, why } = await verdictOf(mutant, sandbox, sound);
    if (is !== 'found') survivors.push(mutant.id);
    line(mutant.id, mutant.promise, mutant.file, is, `${((performance.now() - from) / 1000).toFixed(1)} s  ${why.slice(0, 100)}`);
  }
} finally {
  sandbox.dispose();
}
console.log(`\n${chosen.length - survivors.length} of ${chosen.length} found in ${Math.round((performance.now() - startedAt) / 1000)} s`);
if (survivors.length > 0) console.log(`not found: ${survivors.join(', ')}`);
else if (process.argv.includes('--write') && only === undefined) writeFileSync(join(root, 'docs/mutations.md'), pageOf(MUTANTS));
process.exit(survivors.length === 0 ? 0 : 1);
