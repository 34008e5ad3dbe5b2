import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { TaskflowHealthIndicator } from '../../../lib/health/taskflow-health.indicator.js';
import { DEGRADATIONS } from '../../../lib/lifecycle/degradations.js';
import { WholeSystem } from '../../support/doubles/whole-system.js';

const BOUND = 20_000;
let house: WholeSystem;
beforeEach(async () => {
  house = new WholeSystem({ eventLog: { maxUnflushedBytes: BOUND }, flush: { circuitBreakerDurationMs: 1_000 } });
  house.definitions.set('echo', { handler: async (input: unknown) => input });
  await house.start();
});
afterEach(() => house.stop());

/** [liveness, readiness, status, names of what is wrong] */
async function health(): Promise<[string, string, string, string[]]> {
  const indicator = new TaskflowHealthIndicator(house.system);
  const { taskflow: live } = await indicator.liveness();
  const { taskflow: ready } = await indicator.readiness();
  expect(ready.degraded).toEqual(live.degraded);
  return [live.status, ready.status, live.taskflow, live.degraded.map(({ name }) => name)];
}
const submit = (): Promise<unknown> =>
  house.until(house.system.submit('echo', { input: 'x'.repeat(1_000) }).catch((error: { code: string }) => error.code));

describe('The health of a task system', () => {
  it('is up and up while all of it works', async () => {
    await house.run(1_000);
    expect(await health()).toEqual(['up', 'up', 'running', []]);
  });

  it('stays up and up while the database is away, since tasks are taken and run, and says what is wrong and what to do', async () => {
    house.shared.isAway = true;
    await submit();
    await house.run(20_000);
    expect(await health()).toEqual(['up', 'up', 'degraded', ['database-refuses']]);
    expect(await submit()).toMatchObject({ status: 'created' });
    expect(house.system.getStats().degraded).toEqual([
      { name: 'database-refuses', refusesTasks: false, needsRestart: false, message: expect.any(String), remedy: expect.any(String) },
    ]);
    house.shared.isAway = false;
    await house.flushed();
    expect(await health()).toEqual(['up', 'up', 'running', []]);
  });

  it('is not ready, and lives, while the log is full: killing the process would free nothing', async () => {
    house.shared.isAway = true;
    for (let n = 0; n < 40; n++) await submit();
    expect(await submit()).toBe('EVENT_LOG_FULL');
    await house.run(20_000);
    expect(await health()).toEqual(['up', 'down', 'degraded', ['log-full', 'database-refuses']]);
    house.shared.isAway = false;
    await house.flushed();
    expect(await health()).toEqual(['up', 'up', 'running', []]);
  });

  it('is neither ready nor alive when the log failed: a restart helps, and nothing else', async () => {
    house.disk.fault = { at: house.disk.operations.length + 1, kind: 'EIO', persistent: true, only: ['fdatasync', 'fsync'] };
    expect(await submit()).toBe('EVENT_LOG');
    expect(house.disk.hasFired).toBe(true);
    expect((await health()).slice(0, 3)).toEqual(['down', 'down', 'degraded']);
    expect((await health())[3][0]).toBe('log-failed');
    house.disk.fault = undefined;
  });

  it('is not ready while it starts and stops, and not alive once it was stopped in a process that goes on', async () => {
    const stopping = house.system.shutdown();
    expect((await health()).slice(0, 3)).toEqual(['up', 'down', 'stopping']);
    await house.until(stopping);
    expect(await health()).toEqual(['down', 'down', 'stopped', []]);
  });

  it('is named by its key in the answer', async () => {
    const indicator = new TaskflowHealthIndicator(house.system);
    expect(Object.keys(await indicator.liveness('tasks'))).toEqual(['tasks']);
    expect(Object.keys(await indicator.readiness())).toEqual(['taskflow']);
  });
});

describe('A reason for degraded', () => {
  it.each(Object.entries(DEGRADATIONS))('says what is wrong and what to do, without a value of this process: %s', (name, reason) => {
    expect(reason.name).toBe(name);
    for (const text of [reason.message, reason.remedy]) expect(text).toMatch(/^[A-Z].{20,}\.$/);
  });
});
