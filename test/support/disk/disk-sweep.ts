import { expect } from '@jest/globals';
import { seededRandom } from '../clock/fake-clock.js';
import { type FaultCount, tally } from '../oracle/fault-tally.js';
import type { LogScript } from './log-scripts.js';
import { LogWorkload } from './log-workload.js';
import { SEED } from '../clock/seed.js';
import { SimulatedDisk } from './simulated-disk.js';
import type { CrashMode } from '../../../lib/testing/disk/simulated-file.js';

export const CRASH_MODES: readonly CrashMode[] = ['drop', 'keep', 'drop-names', 'drop-data', 'sectors', 'reorder'];

/** Prints what a sweep met, and adds it to the counts of the whole suite. */
export function report(what: FaultCount, count: number, text: string): void {
  process.stdout.write(`simulated disk: ${count} ${text}, seed ${SEED}\n`);
  tally(what, count, SEED);
}
export const randomOf = (script: LogScript, salt = 0): (() => number) => seededRandom(SEED + salt + script.name.length);

/** The disk that a script leaves when the power fails before its operation `crashAt`, in one of the ways in which it can. */
export async function crashed(script: LogScript, crashAt: number): Promise<{ disk: SimulatedDisk; workload: LogWorkload }> {
  const disk = new SimulatedDisk();
  disk.crashAt = crashAt;
  return { disk, workload: await new LogWorkload(disk, script).run() };
}

/** How many operations a script takes when nothing fails. It does what it is there for, or the sweep over it would prove nothing. */
export async function operationsOf(script: LogScript): Promise<number> {
  const { disk, workload } = await crashed(script, Number.POSITIVE_INFINITY);
  const { ledger, witness } = workload;
  expect(ledger.violations).toEqual([]);
  expect(workload.openErrors).toEqual([]);
  expect(ledger.acknowledged.size).toBe(ledger.next - 1);
  const does = JSON.stringify(script.steps);
  expect(witness.removals > 0).toBe(does.includes('apply'));
  expect(ledger.shown.size > 5).toBe(does.includes('read'));
  expect(witness.frames).toBeGreaterThan(4);
  if (!does.includes('kill')) expect(disk.openDescriptors).toBe(0);
  return disk.operations.length;
}

/** Adds to an error where the sweep met it: enough to run that one case again. */
export async function at<T>(where: () => string, check: () => Promise<T>): Promise<T> {
  try {
    return await check();
  } catch (error) {
    throw new Error(`seed ${SEED}, ${where()}: ${String((error as Error).stack)}`, { cause: error });
  }
}
