import { describe, expect, it } from '@jest/globals';
import type { ScannedFrame } from '../../../lib/contracts/event-log.interface.js';
import { draft, logFixture, scanned } from '../../support/disk/event-log-fixture.js';
import { FakeClock } from '../../support/clock/fake-clock.js';
import { LOG_PATH } from '../../support/disk/log-workload.js';
import { SimulatedDisk } from '../../support/disk/simulated-disk.js';

const payloadsOf = (frames: readonly ScannedFrame[]): unknown[] =>
  frames.flatMap(({ entries }) => entries.map(({ data }) => (data as { payload: number }).payload));

/** The process died in this way; the machine did not, and shows all that was written. What the next process finds. */
async function served(disk: SimulatedDisk): Promise<unknown[]> {
  disk.restart();
  const { log, open } = logFixture(LOG_PATH, {}, disk, new FakeClock(), 2);
  await open();
  return payloadsOf(await scanned(log));
}

describe('An event log that serves what no sync is known to have written', () => {
  it.each([
    ['a frame whose sync failed, its pages clean', 'a frame', 'lost'],
    ['a frame whose sync failed, its pages dirty', 'a frame', 'EIO'],
    ['a frame before a seal whose sync failed', 'a seal', 'lost'],
  ] as const)('has made it durable first: %s', async (_what, failing, kind) => {
    const disk = new SimulatedDisk();
    const { log, open, append } = logFixture(LOG_PATH, {}, disk, new FakeClock());
    await open();
    await append(draft({ body: '{"payload":1}' }));
    if (failing === 'a frame') disk.fault = { at: disk.operations.length + 1, kind, persistent: true, only: ['fdatasync', 'fsync'] };
    const last = append(draft({ body: '{"payload":2}' })).then(
      () => 'acknowledged',
      (error: { outcome: string }) => error.outcome,
    );
    expect(await last).toBe(failing === 'a frame' ? 'unknown' : 'acknowledged');
    if (failing === 'a seal') {
      disk.fault = { at: disk.operations.length + 1, kind, persistent: true, only: ['fdatasync', 'fsync'] };
      await log.close().catch(() => undefined);
    }
    expect(disk.hasFired).toBe(true);
    expect(await served(disk)).toEqual([1, 2]);
    // Whoever read that may have acted on it.
    expect(await served(disk.afterCrash('drop', () => 0))).toEqual([1, 2]);
  });
});
