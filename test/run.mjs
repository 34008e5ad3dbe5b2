/**
 * All tests, in two phases: everything on all cores, then what compares durations, alone (jest.alone.config.mjs).
 *
 *   npm test                                        every test
 *   npm test -- --testPathPatterns e2e/cli          those of them
 *   npm test -- --json --outputFile=report.json     and one report of both phases, in the shape of jest
 *
 * What is given goes to both. Without anything that selects tests each phase must have run some. No report is left, and the exit code is
 * not 0, when a phase did not run to its end or its own report cannot be read.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { countsOf, merged, readReport } from '../scripts/jest-report.mjs';

const PHASES = [
  { name: 'all but what is measured', config: 'jest.config.mjs' },
  { name: 'what is measured, alone', config: 'jest.alone.config.mjs' },
];
const root = fileURLToPath(new URL('..', import.meta.url));
const rest = process.argv.slice(2);

/** Takes an option out of what goes to jest. */
function taken(option, hasValue) {
  const at = rest.findIndex((each) => each === option || each.startsWith(`${option}=`));
  if (at === -1) return undefined;
  const [found] = rest.splice(at, 1);
  if (!hasValue) return true;
  return found.startsWith(`${option}=`) ? found.slice(option.length + 1) : rest.splice(at, 1)[0];
}

const isJson = taken('--json', false);
const outputFile = taken('--outputFile', true);
if (outputFile !== undefined) rmSync(outputFile, { force: true });
const folder = mkdtempSync(join(tmpdir(), 'taskflow-tests-'));

/** @throws Error when it cannot say what became of it. */
function run({ config }, at) {
  const file = join(folder, `${at}.json`);
  const jest = ['--experimental-vm-modules', '--disable-warning=ExperimentalWarning', 'node_modules/jest/bin/jest.js', '--config', config];
  const selecting = rest.length === 0 ? [] : ['--passWithNoTests', ...rest];
  const { status } = spawnSync(process.execPath, [...jest, ...selecting, '--json', `--outputFile=${file}`], {
    cwd: root,
    stdio: 'inherit',
  });
  const report = readReport(file);
  if (rest.length === 0) countsOf(report);
  return { status, report };
}

const results = [];
for (const [at, phase] of PHASES.entries()) {
  console.error(`\n── ${phase.name}`);
  try {
    results.push(run(phase, at));
  } catch (error) {
    console.error(`This phase has no counts: ${error.message}`);
  }
}
rmSync(folder, { recursive: true, force: true });

process.exitCode = 1;
if (results.length === PHASES.length) {
  const report = merged(results.map((result) => result.report));
  if (outputFile !== undefined) writeFileSync(outputFile, JSON.stringify(report));
  else if (isJson) console.log(JSON.stringify(report));
  const { passed, failed, skipped } = countsOf(report);
  console.error(`\nBoth phases: ${passed} passed, ${failed} failed, ${skipped} skipped`);
  if (failed === 0 && results.every(({ status }) => status === 0)) process.exitCode = 0;
}
