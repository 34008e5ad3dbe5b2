import { describe, expect, it } from '@jest/globals';
import { at, CRASH_MODES, crashed, operationsOf, randomOf, report } from '../../support/disk/disk-sweep.js';
import { logFixture } from '../../support/disk/event-log-fixture.js';
import { isFull, scaled } from '../../support/oracle/fault-scale.js';
import { FakeClock } from '../../support/clock/fake-clock.js';
import { LOG_SCRIPTS, type LogScript } from '../../support/disk/log-scripts.js';
import { verifyAgainst } from '../../support/oracle/log-verification.js';
import { LOG_PATH, type Ledger } from '../../support/disk/log-workload.js';
import type { SimulatedDisk } from '../../support/disk/simulated-disk.js';
import type { CrashMode } from '../../../lib/testing/disk/simulated-file.js';

/** Of the first failure: these leave most to recover. */
const LEFT: readonly CrashMode[] = ['keep', 'sectors', 'reorder'];

/** A copy of the disk on which an open dies before its n-th operation; null when it takes fewer. */
async function openUntil(left: SimulatedDisk, n: number): Promise<SimulatedDisk | null> {
  const disk = left.clone();
  disk.crashAt = n;
  const outcome = await logFixture(LOG_PATH, {}, disk, new FakeClock(), 5)
    .open()
    .catch((error: unknown) => error);
  if (!disk.isDown && outcome instanceof Error) throw outcome;
  return disk.isDown ? disk : null;
}

describe('An event log whose power fails while it recovers', () => {
  it('keeps every promise, before whatever operation of the recovery it fails', async () => {
    const everyOther = scaled(149, 43);
    let states = 0;
    for (const script of LOG_SCRIPTS) {
      const random = randomOf(script, 1);
      const operations = await operationsOf(script);
      for (let crashAt = 5 + Math.floor(random() * everyOther); crashAt <= operations; crashAt += everyOther) {
        const { disk, workload } = await crashed(script, crashAt);
        for (const mode of LEFT) {
          const left = disk.afterCrash(mode, random);
          for (let again = 1; ; again++) {
            const second = await openUntil(left, again);
            if (second === null) break;
            for (const then of CRASH_MODES) {
              const where = (): string => `${script.name}, crash ${crashAt} ${mode}, in recovery ${again} ${then}`;
              await at(where, () => verifyAgainst(second.afterCrash(then, random), workload.ledger));
              states++;
            }
          }
        }
      }
    }
    report('crash states', states, 'states of crashes during recovery');
    if (isFull) expect(states).toBeGreaterThan(10_000);
  }, 600_000);

  it('keeps every promise when it fails again and again, each time in the recovery from the one before', async () => {
    const wanted = scaled(600, 5_000);
    let states = 0;
    for (let round = 0; states < wanted; round++) {
      const script = LOG_SCRIPTS[round % LOG_SCRIPTS.length]!;
      const random = randomOf(script, 2 + round);
      states += await twice(script, random, await operationsOf(script));
    }
    report('crash states', states, 'states of two crashes in a row during recovery');
    expect(states).toBeGreaterThanOrEqual(wanted);
  }, 600_000);
});

/** One place for the first failure, some for the second, all modes for the third one at each of some places. */
async function twice(script: LogScript, random: () => number, operations: number): Promise<number> {
  const pick = <T>(from: readonly T[]): T => from[Math.floor(random() * from.length)]!;
  const crashAt = 1 + Math.floor(random() * operations);
  const { disk, workload } = await crashed(script, crashAt);
  const left = disk.afterCrash(pick(CRASH_MODES), random);
  let states = 0;
  for (let once = 1 + Math.floor(random() * 5); ; once += 1 + Math.floor(random() * 8)) {
    const second = await openUntil(left, once);
    if (second === null) return states;
    const mode = pick(CRASH_MODES);
    const half = second.afterCrash(mode, random);
    for (let again = 1 + Math.floor(random() * 8); ; again += 1 + Math.floor(random() * 10)) {
      const third = await openUntil(half, again);
      if (third === null) break;
      states += await verifyAll(third, workload.ledger, random, () => `${script.name}, crash ${crashAt}, ${once} ${mode}, ${again}`);
    }
  }
}

async function verifyAll(disk: SimulatedDisk, ledger: Ledger, random: () => number, where: () => string): Promise<number> {
  for (const mode of CRASH_MODES)
    await at(
      () => `${where()} ${mode}`,
      () => verifyAgainst(disk.afterCrash(mode, random), ledger),
    );
  return CRASH_MODES.length;
}
