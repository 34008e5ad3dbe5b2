import { describe, expect, it } from '@jest/globals';
import { ExecutorHarness, SETTINGS } from '../../support/doubles/executor-harness.js';

const { staleThresholdMs } = SETTINGS.recovery;
const { heartbeatIntervalMs } = SETTINGS.executor;

/** The event loop gets no turn for that long. */
async function standStill(harness: ExecutorHarness, ms: number): Promise<void> {
  await harness.clock.run(heartbeatIntervalMs - 1);
  harness.clock.advance(ms);
  await harness.clock.run(2 * heartbeatIntervalMs);
}

describe('a process that stands still', () => {
  it('says so once when others may have taken its tasks for stale', async () => {
    const harness = new ExecutorHarness();
    harness.executor.start();
    await harness.clock.run(60_000);
    expect(harness.warnings).toEqual([]);
    await standStill(harness, staleThresholdMs + heartbeatIntervalMs);
    expect(harness.warnings).toEqual([expect.stringMatching(/stood still for \d{5} ms/)]);
    await harness.clock.run(60_000);
    expect(harness.warnings).toHaveLength(1);
    await harness.executor.stop();
  });

  it('says nothing of a pause that nobody can have noticed', async () => {
    const harness = new ExecutorHarness();
    harness.executor.start();
    await standStill(harness, staleThresholdMs / 2);
    expect(harness.warnings).toEqual([]);
    await harness.executor.stop();
  });
});
