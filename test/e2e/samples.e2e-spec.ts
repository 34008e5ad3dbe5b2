import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from '@jest/globals';
import { PATIENCE_MS } from '../support/clock/patience.js';

interface Outcome {
  readonly code: number | string | null | undefined;
  readonly out: string;
  readonly errors: string;
}

/** Runs a compiled sample (`npm run sample:build`) to its end. */
function run(sample: string): Promise<Outcome> {
  const main = fileURLToPath(new URL(`../../.sample-dist/${sample}/main.js`, import.meta.url));
  return new Promise((resolve) => {
    execFile(process.execPath, [main], { timeout: PATIENCE_MS }, (error, out, errors) => {
      resolve({ code: error === null ? 0 : (error.code ?? error.signal), out, errors });
    });
  });
}

describe('sample 02-standalone', () => {
  it('submits, watches, fails, shuts down and exits by itself', async () => {
    const { code, out, errors } = await run('02-standalone');
    expect(code).toBe(0);
    // The failure that it shows leaves its trace in the log, and nothing else does.
    expect(errors.match(/ERROR/g)).toEqual(['ERROR']);
    expect(errors).toMatch(/Task call-service \(\S+\) failed at attempt 2 of 2\. .*\nError: The service does not answer\.\n {4}at /);
    expect(
      out
        .split('\n')
        .filter((line) => /^ {2}\d/.test(line))
        .map((line) => line.trim().split(' ').slice(0, 2).join(' ')),
    ).toEqual(['1 created', '2 start', '3 progress', '4 progress', '5 progress', '6 progress', '7 progress', '8 progress', '9 complete']);
    expect(out).toContain('result: 6 words');
    expect(out).toContain('the same key twice: one task');
    expect(out).toContain('call-service failed after 2 attempts: The service does not answer.');
    expect(out).toContain('dead letters: call-service');
    expect(out).toMatch(/shut down cleanly\n$/);
  });
});

describe('sample 03-survives-kill', () => {
  it('goes on after SIGKILL at 40 % without a gap in rows or stream', async () => {
    const { code, out, errors } = await run('03-survives-kill');
    expect({ code, errors }).toEqual({ code: 0, errors: '' });
    // The kill fired, in the middle of the import.
    expect(out).toMatch(/20\/50\nworker ended: SIGKILL\n/);
    expect(out.match(/^ +\d+ recovered$/gm)).toHaveLength(1);
    const seqs = [...out.matchAll(/^ +(\d+) /gm)].map(([, seq]) => Number(seq));
    expect(seqs).toEqual(seqs.map((_, at) => at + 1));
    expect(out).toMatch(/survived: seq 1 to 55 without a gap, 50 rows, each once\n$/);
  });
});
