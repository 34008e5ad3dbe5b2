import { afterEach, describe, expect, it } from '@jest/globals';
import { HandDrivenWork } from '../../support/doubles/hand-driven-work.js';
import { WholeSystem } from '../../support/doubles/whole-system.js';

const BOUND = 20_000;
let house: WholeSystem;
afterEach(() => house.stop());

describe('a log that waits for the database', () => {
  it('grows to its bound and no further while tasks run, whose signs of life go on when the database is back', async () => {
    house = new WholeSystem({
      eventLog: { maxUnflushedBytes: BOUND },
      executor: { heartbeatIntervalMs: 1_000 },
      flush: { circuitBreakerDurationMs: 1_000 },
    });
    const work = new HandDrivenWork();
    house.definitions.set('work', work.definition);
    await house.start();
    const tasks = await house.until(Promise.all(Array.from({ length: 20 }, () => house.system.submit('work', { input: 1 }))));
    await house.flushed();
    house.shared.isAway = true;
    await house.run(60_000);
    const refused = await house.until(house.system.submit('work', { input: 1 }).catch((error: unknown) => error));
    expect(refused).toMatchObject({ code: 'EVENT_LOG_FULL' });
    const { unflushedBytes } = house.system.getStats().eventLog;
    await house.run(600_000);
    expect(house.system.getStats().eventLog.unflushedBytes).toBe(unflushedBytes);
    expect(unflushedBytes).toBeLessThan(1.5 * BOUND);
    // What ends a task goes on to the physical end of the disk.
    work.run(tasks[0]!.id).resolve('done');
    await house.run(100);
    expect((await house.until(house.system.getStatus(tasks[0]!)))?.status).toBe('completed');
    house.shared.isAway = false;
    await house.run(30_000);
    const task = await house.until(house.system.getStatus(tasks[1]!));
    expect(task).toMatchObject({ status: 'running', recoveries: 0 });
    expect(house.clock.now() - task!.lastHeartbeatAt!.getTime()).toBeLessThan(2_500);
    expect((await house.until(house.system.submit('work', { input: 1 }))).status).toBe('created');
  });
});
