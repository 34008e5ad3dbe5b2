import { afterEach, describe, expect, it } from '@jest/globals';
import type { TaskflowOptionsInput } from '../../../lib/config/taskflow-options.interface.js';
import type { Task } from '../../../lib/contracts/task.interface.js';
import { HandDrivenWork } from '../../support/doubles/hand-driven-work.js';
import { WholeSystem } from '../../support/doubles/whole-system.js';

let house: WholeSystem;
let work: HandDrivenWork;

async function open(options: TaskflowOptionsInput = {}): Promise<void> {
  house = new WholeSystem(options);
  work = new HandDrivenWork();
  house.definitions.set('work', work.definition);
  await house.start();
}
const submit = async (more: object = {}): Promise<Task> => {
  const task = await house.until(house.system.submit('work', { input: 1, ...more }));
  await house.run(0);
  return task;
};
const now = async (task: Task): Promise<Task> => (await house.until(house.system.get(task)))!;
const EXPIRED = { status: 'failed', attempt: 1, fence: 0, error: { name: 'TaskExpiredError', code: 'TASK_EXPIRED', retryable: false } };
const codeOf = (promise: Promise<unknown>): Promise<string> =>
  promise.then(
    () => 'ok',
    (error: { code?: string; field?: string }) => `${error.code} ${error.field}`,
  );

afterEach(async () => {
  await house.stop();
});

describe('A task with an expiry', () => {
  it('ends while it is delayed, and while nobody has defined its handler', async () => {
    await open();
    const delayed = await submit({ delayMs: 60_000, expiresInMs: 500 });
    house.definitions.set('later', work.definition);
    house.system.defineTask('later', work.definition);
    const parked = await house.until(house.system.submit('later', { input: 1, delayMs: 1_000, expiresInMs: 5_000 }));
    house.crash();
    house.definitions.delete('later');
    await house.start();
    await house.run(2_000);
    expect(await now(delayed)).toMatchObject(EXPIRED);
    expect(house.system.getStats().tasks).toMatchObject({ withoutHandler: 1, delayed: 0 });
    await house.run(4_000);
    expect(await now(parked)).toMatchObject(EXPIRED);
    expect(house.system.getStats().tasks).toMatchObject({ withoutHandler: 0 });
  });

  it.each([true, false])('that passed while the process was down is not run by the next one; executor.enabled: %p', async (enabled) => {
    await open({ executor: { enabled: false } });
    const tasks = [await submit({ expiresInMs: 1_000 }), await submit({ expiresAt: new Date(house.clock.now() + 1_000), delayMs: 10 })];
    await house.flushed();
    await house.stop();
    house = Object.assign(new WholeSystem({ executor: { enabled } }), { disk: house.disk, shared: house.shared, ids: house.ids });
    house.definitions.set('work', work.definition);
    await house.start(60_000);
    await house.run(1_000);
    for (const task of tasks) expect(await now(task)).toMatchObject(EXPIRED);
    expect(work.calls).toEqual([]);
  });

  it('never starts after its time, whoever is late', async () => {
    await open({ guard: { slots: { maxExecutionGlobal: 1 } }, executor: { tickIntervalMs: 10_000 } });
    const first = await submit();
    const second = await submit({ expiresInMs: 1_000 });
    await house.run(2_000); // nobody looked
    expect((await now(second)).status).toBe('created');
    work.run(first.id).resolve(1);
    await house.run(0);
    expect(await now(second)).toMatchObject(EXPIRED);
    expect(work.runs.has(second.id)).toBe(false);
    const past = await submit({ expiresAt: new Date(house.clock.now() - 1) });
    await house.run(20_000);
    expect(await now(past)).toMatchObject(EXPIRED);
  });

  it('ends once there is room again where the disk was full at its time', async () => {
    await open();
    const task = await submit({ delayMs: 60_000, expiresInMs: 500 });
    house.disk.fault = { at: house.disk.operations.length + 1, kind: 'ENOSPC', only: ['write'] };
    await house.run(10_000);
    expect(house.disk.hasFired).toBe(true);
    expect(await now(task)).toMatchObject(EXPIRED);
  });

  it.each([
    [{ expiresAt: new Date(), expiresInMs: 5 }, 'expiresInMs'],
    [{ expiresInMs: 0 }, 'expiresInMs'],
    [{ expiresInMs: 2 ** 53 }, 'expiresInMs'],
    [{ expiresInMs: 1e14 * 3 }, 'expiresInMs'],
    [{ expiresAt: new Date(Number.NaN) }, 'expiresAt'],
    [{ expiresAt: 5 }, 'expiresAt'],
    [{ admission: 'admin' }, 'admission'],
    [{ manager: {} }, 'manager'],
  ])('is refused by name: %p', async (params, field) => {
    await open();
    expect(await codeOf(house.system.submit('work', { input: 1, ...params } as never))).toBe(`VALIDATION_FAILED ${field}`);
  });
});
