/**
 * The random runs alone, as many as asked for.
 *
 *   npm run test:model -- --runs 20000 [--seed 7]      without a seed: a fresh one
 *
 * Of a failure it prints the seed and the shortest sequence that breaks a promise, as fixtures/steps.json takes it.
 */
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const { values } = parseArgs({ options: { runs: { type: 'string', default: '20000' }, seed: { type: 'string' } } });
for (const [name, value] of Object.entries(values)) {
  if (!/^\d+$/.test(value)) {
    console.error(`--${name} takes a number, not ${value}.`);
    process.exit(2);
  }
}
const jest = ['--experimental-vm-modules', '--disable-warning=ExperimentalWarning', 'node_modules/jest/bin/jest.js'];
const { status } = spawnSync(process.execPath, [...jest, '--selectProjects', 'faults', '--testPathPatterns', 'faults/model/'], {
  cwd: fileURLToPath(new URL('../../..', import.meta.url)),
  stdio: 'inherit',
  env: {
    ...process.env,
    TASKFLOW_MODEL_RUNS: values.runs,
    TASKFLOW_TEST_SEED: values.seed ?? String(Date.now() % 1_000_000),
  },
});
process.exit(status ?? 1);
