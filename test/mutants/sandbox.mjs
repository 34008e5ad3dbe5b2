import { spawn } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import jestConfig from '../../jest.config.mjs';
import { mutated } from './mutated.mjs';

/** A mutant that makes the code slow or silent is stopped by its test's own limit; this is for a runner that hangs. */
const MAX_RUN_MS = 120_000;
/** All named tests together, on the sound code. */
export const MAX_SOUND_MS = 900_000;
/** Shorter than elsewhere: what a mutant makes wait for ever is found by it. */
const TEST_TIMEOUT_MS = 15_000;
const COPIED = ['lib', 'test', 'package.json', 'tsconfig.json', 'docs'];

/** A copy of the sources and tests in a temporary folder: a mutant never touches the checkout. */
export class Sandbox {
  constructor(root) {
    this.root = root;
    this.path = mkdtempSync(join(tmpdir(), 'taskflow-mutants-'));
    for (const name of COPIED) cpSync(join(root, name), join(this.path, name), { recursive: true });
    symlinkSync(join(root, 'node_modules'), join(this.path, 'node_modules'), 'dir');
    this.config = join(this.path, 'jest.mutants.json');
    writeFileSync(this.config, JSON.stringify(this.configuration()));
  }

  /** As the project `unit`, for every test that runs on sources; no database server. */
  configuration() {
    const { globalSetup: _none, globalTeardown: _neither, displayName: _nor, ...project } = jestConfig.projects[0];
    const roots = ['unit', 'conformance', 'storage', 'faults'].map((name) => `<rootDir>/test/${name}`);
    return { ...project, rootDir: this.path, roots, testTimeout: TEST_TIMEOUT_MS, cacheDirectory: join(this.path, '.jest-cache') };
  }

  /** Puts the edits in. @returns a function that takes them out again. */
  mutate(mutant) {
    const changed = mutated(mutant, (file) => readFileSync(join(this.path, file), 'utf8'));
    const originals = [...changed.keys()].map((file) => [file, readFileSync(join(this.path, file), 'utf8')]);
    for (const [file, text] of changed) writeFileSync(join(this.path, file), text);
    return () => originals.forEach(([file, text]) => writeFileSync(join(this.path, file), text));
  }

  /** Runs the tests whose name has one of the texts. @returns what became of each, or why there are none. */
  async run(files, names, env, maxMs = MAX_RUN_MS) {
    const output = join(this.path, 'result.json');
    rmSync(output, { force: true });
    const { text, timedOut } = await this.jest(
      ['--config', this.config, '--json', '--outputFile', output, ...pattern(names), '--runTestsByPath', ...files],
      env,
      maxMs,
    );
    let report;
    try {
      report = JSON.parse(readFileSync(output, 'utf8'));
    } catch {
      return { tests: [], broken: [timedOut ? `stopped after ${maxMs / 1000} s` : text.slice(-2_000)] };
    }
    const tests = report.testResults.flatMap((file) =>
      file.assertionResults.map(({ fullName, status, failureMessages, duration }) => ({
        file: file.name.slice(this.path.length + 1),
        name: fullName,
        status,
        durationMs: duration ?? 0,
        message: failureMessages?.[0] ?? '',
      })),
    );
    const broken = report.testResults
      .filter((file) => file.status === 'failed' && file.assertionResults.length === 0)
      .map((file) => file.message);
    return { tests, broken };
  }

  jest(args, env, maxMs) {
    return new Promise((resolve) => {
      const program = join(this.root, 'node_modules/jest/bin/jest.js');
      const child = spawn(process.execPath, ['--experimental-vm-modules', '--disable-warning=ExperimentalWarning', program, ...args], {
        cwd: this.path,
        env: { ...process.env, TASKFLOW_TEST_PG_SKIPPED: 'the mutation check needs none', ...env },
        stdio: ['ignore', 'pipe', 'pipe'],
        detached: true,
      });
      let text = '';
      let timedOut = false;
      const keep = (chunk) => void (text = (text + chunk).slice(-20_000));
      child.stdout.on('data', keep);
      child.stderr.on('data', keep);
      const timer = setTimeout(() => {
        timedOut = true;
        if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL');
      }, maxMs);
      child.on('close', () => {
        clearTimeout(timer);
        resolve({ text, timedOut });
      });
    });
  }

  dispose() {
    rmSync(this.path, { recursive: true, force: true });
  }
}

const pattern = (names) => ['--testNamePattern', names.map((name) => name.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')).join('|')];
