import { describe, expect, it } from '@jest/globals';
import { TaskSystemError } from '../../../lib/errors/task-system.error.js';
import { at, CRASH_MODES, crashed, operationsOf, randomOf, report } from '../../support/disk/disk-sweep.js';
import { logFixture } from '../../support/disk/event-log-fixture.js';
import { faultsAt, nameOf } from './fault-kinds.js';
import { isFull, scaled } from '../../support/oracle/fault-scale.js';
import { FakeClock } from '../../support/clock/fake-clock.js';
import { LOG_SCRIPTS, type LogScript } from '../../support/disk/log-scripts.js';
import { verifyAgainst } from '../../support/oracle/log-verification.js';
import { LOG_PATH, LogWorkload, type Ledger } from '../../support/disk/log-workload.js';
import { isFixedSeed } from '../../support/clock/seed.js';
import { type Fault, type OperationName, SimulatedDisk } from '../../support/disk/simulated-disk.js';

/** The process dies and comes back, then the power fails: what was served in between must have been made durable. */
async function verifyTwice(disk: SimulatedDisk, ledger: Ledger, random: () => number): Promise<void> {
  disk.restart();
  const served = await verifyAgainst(disk, ledger);
  const after = disk.afterCrash('drop', random);
  expect(await verifyAgainst(after, ledger)).toEqual(served);
}

async function failed(script: LogScript, fault: Fault): Promise<{ disk: SimulatedDisk; workload: LogWorkload }> {
  const disk = new SimulatedDisk();
  disk.fault = fault;
  const workload = await new LogWorkload(disk, script).run();
  expect(disk.hasFired).toBe(true);
  for (const error of workload.openErrors) if (!TaskSystemError.is(error)) throw error;
  return { disk, workload };
}

describe('An event log whose disk fails', () => {
  it('keeps every promise whatever operation fails, once or for ever, and changes nothing after a failure', async () => {
    const everyOther = scaled(9, 2);
    let [faults, ended, unopened] = [0, 0, 0];
    for (const script of LOG_SCRIPTS) {
      const random = randomOf(script, 3);
      const { disk: whole } = await crashed(script, (await operationsOf(script)) + 1);
      for (let n = 1 + Math.floor(random() * everyOther); n <= whole.operations.length; n += everyOther) {
        for (const fault of faultsAt(n, whole.operations[n - 1]!.name)) {
          const where = (): string => `${script.name}, operation ${n} ${JSON.stringify(whole.operations[n - 1])}, ${nameOf(fault)}`;
          await at(where, async () => {
            const { disk, workload } = await failed(script, fault);
            const { failedAt, ledger } = workload;
            if (failedAt !== undefined) expect(disk.operations.slice(failedAt).filter(({ isChange }) => isChange)).toEqual([]);
            await verifyTwice(disk, ledger, random);
            faults++;
            ended += failedAt === undefined ? 0 : 1;
            unopened += workload.openErrors.length > 0 ? 1 : 0;
          });
        }
      }
    }
    report('faults', faults, `faults; ${ended} ended the log, ${unopened} kept it from opening`);
    if (isFixedSeed) {
      expect(ended).toBeGreaterThan(faults / 10);
      expect(unopened).toBeGreaterThan(10);
    }
    if (isFull) expect(faults).toBeGreaterThan(3_000);
  }, 600_000);

  it('keeps every promise whatever operation of a recovery fails, once or for ever', async () => {
    const everyOther = scaled(6, 4);
    let [faults, opened, refused] = [0, 0, 0];
    for (const script of LOG_SCRIPTS) {
      const random = randomOf(script, 4);
      const { disk: down, workload } = await crashed(script, Math.floor((await operationsOf(script)) * (0.5 + random() / 2)));
      for (const mode of CRASH_MODES.slice(0, scaled(1, CRASH_MODES.length))) {
        const left = down.afterCrash(mode, random);
        const { taken } = await openedWith(left);
        const offset = Math.floor(random() * everyOther);
        const chosen = taken.flatMap((name, at) => (at % everyOther === offset || taken.indexOf(name) === at ? [at + 1] : []));
        for (const n of chosen) {
          for (const fault of faultsAt(n, taken[n - 1]!)) {
            const where = (): string => `${script.name} after ${mode}, operation ${n} (${taken[n - 1]}) of the recovery, ${nameOf(fault)}`;
            await at(where, async () => {
              const { disk, error } = await openedWith(left, fault);
              expect(disk.hasFired).toBe(true);
              if (error !== undefined && !TaskSystemError.is(error)) throw error;
              await verifyTwice(disk, workload.ledger, random);
              faults++;
              if (error === undefined) opened++;
              else refused++;
            });
          }
        }
      }
    }
    report('faults', faults, `faults during recovery; it opened all the same after ${opened}, and said why not after ${refused}`);
    if (isFixedSeed) {
      expect(refused).toBeGreaterThan(faults / 2);
      expect(opened).toBeGreaterThan(0);
    }
    if (isFull) expect(faults).toBeGreaterThan(1_500);
  }, 600_000);
});

/** `taken`: the operations of the open. */
async function openedWith(left: SimulatedDisk, fault?: Fault): Promise<{ disk: SimulatedDisk; error: unknown; taken: OperationName[] }> {
  const disk = left.clone();
  disk.fault = fault;
  const fixture = logFixture(LOG_PATH, {}, disk, new FakeClock(), 5);
  const error = await fixture.open().then(
    () => undefined,
    (reason: unknown) => reason,
  );
  const taken = disk.operations.map(({ name }) => name);
  await fixture.log.close();
  return { disk, error, taken };
}
