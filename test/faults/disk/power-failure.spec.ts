import { describe, expect, it } from '@jest/globals';
import { at, CRASH_MODES, crashed, operationsOf, randomOf, report } from '../../support/disk/disk-sweep.js';
import { isFull, scaled } from '../../support/oracle/fault-scale.js';
import { LOG_SCRIPTS, type LogScript } from '../../support/disk/log-scripts.js';
import { verifyAgainst } from '../../support/oracle/log-verification.js';
import type { CrashMode } from '../../../lib/testing/disk/simulated-file.js';

/** Chance decides what these leave, so that each is drawn more than once. */
const DRAWN: readonly CrashMode[] = ['sectors', 'reorder'];
const MODES: readonly CrashMode[] = [...CRASH_MODES, ...Array.from({ length: scaled(0, 3) }, () => DRAWN).flat()];
const EVERY_OTHER = scaled(2, 1);

async function sweep(script: LogScript): Promise<{ states: number; operations: number }> {
  const random = randomOf(script);
  const operations = await operationsOf(script);
  let states = 0;
  for (let crashAt = 1 + Math.floor(random() * EVERY_OTHER); crashAt <= operations + 1; crashAt += EVERY_OTHER) {
    const { disk, workload } = await crashed(script, crashAt);
    expect(disk.isDown).toBe(crashAt <= operations);
    for (const mode of MODES) {
      const where = (): string => `${script.name}, crash before operation ${crashAt} (${JSON.stringify(disk.operations.at(-1))}), ${mode}`;
      await at(where, () => verifyAgainst(disk.afterCrash(mode, random), workload.ledger));
      states++;
    }
  }
  return { states, operations };
}

describe('An event log whose power fails', () => {
  it('keeps every promise, before whatever operation it fails and whatever it leaves of what was not synced', async () => {
    let states = 0;
    let operations = 0;
    for (const script of LOG_SCRIPTS) {
      const swept = await sweep(script);
      states += swept.states;
      operations += swept.operations;
    }
    report('crash states', states, `crash states over ${operations} operations of ${LOG_SCRIPTS.length} scripts`);
    if (isFull) expect(states).toBeGreaterThan(10_000);
    else expect(states).toBeGreaterThan(2_500);
  }, 600_000);
});
