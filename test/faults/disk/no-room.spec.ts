import { describe, expect, it } from '@jest/globals';
import { EventLogFullError } from '../../../lib/errors/storage.errors.js';
import { at, report } from '../../support/disk/disk-sweep.js';
import { draft, logFixture, scanned } from '../../support/disk/event-log-fixture.js';
import { scaled } from '../../support/oracle/fault-scale.js';
import { FakeClock } from '../../support/clock/fake-clock.js';
import { LOG_PATH } from '../../support/disk/log-workload.js';
import { type Fault, type OperationName, SimulatedDisk } from '../../support/disk/simulated-disk.js';

const SMALL = { maxSizeBytesPerFile: 900, retentionCount: 1 };
const APPENDS = 12;
const KINDS: readonly { readonly kind: Fault['kind']; readonly only: readonly OperationName[] }[] = [
  { kind: 'ENOSPC', only: ['write'] },
  { kind: 'short', only: ['write'] },
  { kind: 'ENOSPC', only: ['write', 'open'] },
  { kind: 'EMFILE', only: ['open'] },
];

/** Whether the log was full on the way. */
async function fillAndFree(n: number, { kind, only }: (typeof KINDS)[number]): Promise<{ wasFull: boolean; hasFired: boolean }> {
  const disk = new SimulatedDisk();
  const clock = new FakeClock();
  const { open, append, log } = logFixture(LOG_PATH, SMALL, disk, clock);
  await open();
  disk.fault = { at: disk.operations.length + n, kind, persistent: true, only };
  const outcomes = [];
  for (let i = 0; i < APPENDS; i++) outcomes.push(await append(draft()).catch((error: unknown) => error));
  const refused = outcomes.filter((outcome) => typeof outcome !== 'number');
  const wasFull = log.state === 'full';
  if (wasFull) {
    expect(refused.every((error) => EventLogFullError.is(error))).toBe(true);
    let accepts = 0;
    log.whenAccepting('lifecycle', () => accepts++);
    await clock.run(2000);
    expect(accepts).toBe(0);
    disk.fault = undefined;
    await clock.run(2000);
    expect(accepts).toBe(1);
    expect(await append(draft())).toBe(APPENDS + 1 - refused.length);
  }
  await log.close();
  // Nothing of what was refused is left in a file, where the next open would take it for damage.
  if (wasFull) expect((await logFixture(LOG_PATH, SMALL, disk, new FakeClock(), 2).open()).lastSeq).toBe(APPENDS + 1 - refused.length);
  return { wasFull, hasFired: disk.hasFired };
}

describe('An event log whose disk has no room', () => {
  it('says so, and takes entries again within a second or two of there being room', async () => {
    for (const kind of KINDS) {
      let full = 0;
      for (let n = 1; ; n++) {
        const { wasFull, hasFired } = await at(
          () => `operation ${n}, ${JSON.stringify(kind)}`,
          () => fillAndFree(n, kind),
        );
        if (!hasFired) break;
        if (wasFull) full++;
      }
      expect(full).toBeGreaterThan(10);
      report('faults', full, `times full (${kind.kind} of ${kind.only.join(' and ')}) and open again`);
    }
  }, 600_000);

  it('goes on in the next file when files may not grow beyond a limit, and loses nothing', async () => {
    let [limits, wentOn, refusals] = [0, 0, 0];
    for (let maxFileBytes = 70_000; maxFileBytes < 77_000; maxFileBytes += scaled(137, 29)) {
      const { acknowledged, refused } = await at(
        () => `files of ${maxFileBytes} bytes`,
        () => appendBeyond(maxFileBytes),
      );
      limits++;
      refusals += refused;
      if (acknowledged === BEYOND) wentOn++;
    }
    report('faults', limits, `limits on files, ${refusals} entries that did not fit; it went on in other files under ${wentOn} of them`);
    // Where not even the seal fits behind the last frame that did, there is no next file until the limit is raised.
    expect(wentOn).toBeGreaterThan(limits * 0.9);
    expect(refusals).toBeGreaterThanOrEqual(limits);
  }, 600_000);
});

const BEYOND = 20;

/** Appends one after the other, each up to three times, then opens what is left without the limit. */
async function appendBeyond(maxFileBytes: number): Promise<{ acknowledged: number; refused: number }> {
  const disk = new SimulatedDisk();
  disk.maxFileBytes = maxFileBytes;
  const { open, append, log, clock } = logFixture(LOG_PATH, {}, disk, new FakeClock());
  await open();
  const acknowledged: number[] = [];
  let refused = 0;
  for (let payload = 1; payload <= BEYOND; payload++) {
    for (let attempt = 1; attempt <= 3 && acknowledged.at(-1) !== payload; attempt++) {
      try {
        await append(draft({ body: JSON.stringify({ payload, padding: 'x'.repeat(6_000) }) }));
        acknowledged.push(payload);
      } catch (error) {
        expect(EventLogFullError.is(error)).toBe(true);
        refused++;
        await clock.run(1_000);
      }
    }
  }
  await log.close();
  disk.maxFileBytes = Number.MAX_SAFE_INTEGER;
  const next = logFixture(LOG_PATH, {}, disk, new FakeClock(), 2);
  await next.open();
  const found = (await scanned(next.log)).flatMap(({ entries }) => entries.map(({ data }) => (data as { payload: number }).payload));
  expect(found).toEqual(acknowledged);
  await next.log.close();
  return { acknowledged: acknowledged.length, refused };
}
