import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from '@jest/globals';
import { SEED } from '../support/clock/seed.js';
import { PATIENCE_MS } from '../support/clock/patience.js';

const RUN = fileURLToPath(new URL('../crash/run.mjs', import.meta.url));

/** A few rounds of what `npm run test:crash -- --rounds 200` does for longer. */
function crash(rounds: number): Promise<{ code: number | string | null | undefined; out: string }> {
  return new Promise((resolve) => {
    execFile(
      process.execPath,
      [RUN, '--rounds', String(rounds), '--seed', String(SEED)],
      { timeout: PATIENCE_MS },
      (error, out, errors) => {
        resolve({ code: error === null ? 0 : (error.code ?? error.signal), out: out + errors });
      },
    );
  });
}

describe('an app that is killed under load, again and again', () => {
  it('keeps its promises over three kills', async () => {
    const { code, out } = await crash(3);
    // The output names the seed, and what was violated.
    expect({ code, out }).toMatchObject({ code: 0 });
    expect(out).toMatch(/kills with runs in flight {7}[1-3] /);
    expect(out).toMatch(/\n[1-9]\d* passed, 0 failed\n$/);
  });
});
