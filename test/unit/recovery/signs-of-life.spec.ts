import { describe, expect, it } from '@jest/globals';
import { TaskflowOptions } from '../../../lib/config/taskflow.options.js';
import type { UnfinishedHome } from '../../../lib/contracts/task-store.interface.js';
import { Housekeeping } from '../../../lib/engines/local/startup/housekeeping.service.js';
import { BEAT_MS, HEARING_MS, isGone, silentAmong } from '../../../lib/engines/local/startup/signs-of-life.js';
import { FakeClock, settle } from '../../support/clock/fake-clock.js';

const homeAt = (beatAt: number): UnfinishedHome => ({ home: 'theirs', appliedSeq: 1, unfinished: 1, beatAt });
const DAY_MS = 24 * 3_600_000;

/** Listens for a process whose clock differs by `skewMs`, and which beats as long as `lives` says so. */
async function listen(skewMs: number, lives: (elapsedMs: number) => boolean): Promise<{ silent: number; tookMs: number }> {
  const clock = new FakeClock(1_700_000_000_000);
  const start = clock.monotonic();
  let beatAt = clock.now() + skewMs;
  let heard: readonly UnfinishedHome[] | undefined;
  const listening = silentAmong([homeAt(beatAt)], async () => [homeAt(beatAt)], clock).then((silent) => (heard = silent));
  for (let elapsed = 100; heard === undefined; elapsed += 100) {
    if (elapsed % BEAT_MS === 0 && lives(elapsed)) beatAt = clock.now() + skewMs;
    clock.advance(100);
    await settle();
  }
  await listening;
  return { silent: heard.length, tookMs: clock.monotonic() - start };
}

describe('signs of life', () => {
  it.each([
    [30_000, 30_000],
    [3_600_000, 60_000],
    [1, 1],
  ])('are written by one rule, whatever the scan interval is (%i)', async (scanIntervalMs, sweepIntervalMs) => {
    const options = new TaskflowOptions();
    Object.assign(options.recovery, { scanIntervalMs });
    Object.assign(options.retention, { sweepIntervalMs });
    const clock = new FakeClock();
    let beats = 0;
    const nothing = { scan: async () => {}, sweep: async () => 0 };
    const homecoming = { beat: async () => void beats++ };
    const logger = { log() {}, warn() {}, error() {} };
    const parts = [options, clock, logger, homecoming, nothing, nothing];
    const housekeeping = new Housekeeping(...(parts as unknown as ConstructorParameters<typeof Housekeeping>));
    housekeeping.start();
    for (let ms = 0; ms < 12 * BEAT_MS; ms += 1000) {
      clock.advance(1000);
      await settle();
    }
    await housekeeping.stop();
    expect(beats).toBeGreaterThanOrEqual(11);
    expect(beats).toBeLessThanOrEqual(12);
  });

  it.each([0, -600_000, 600_000, -DAY_MS / 2])('are heard within three beats, however far apart the clocks are (%i ms)', async (skewMs) => {
    expect(await listen(skewMs, () => true)).toEqual({ silent: 0, tookMs: expect.any(Number) });
    expect((await listen(skewMs, () => true)).tookMs).toBeLessThanOrEqual(BEAT_MS + 200);
    // The first two are late or lost.
    expect((await listen(skewMs, (elapsedMs) => elapsedMs > 2 * BEAT_MS)).silent).toBe(0);
  });

  it('are missed when a process is gone, and not waited for when it ended in order or was forgotten', async () => {
    const { silent, tookMs } = await listen(0, () => false);
    expect([silent, tookMs >= HEARING_MS, tookMs < HEARING_MS + 1000]).toEqual([1, true, true]);
    expect([0, 1_700_000_000_000 - 2 * DAY_MS, 1_700_000_000_000].map((beatAt) => isGone(homeAt(beatAt), 1_700_000_000_000))).toEqual([
      true,
      true,
      false,
    ]);
  });
});
