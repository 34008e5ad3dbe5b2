import { afterEach, describe, expect, it, jest } from '@jest/globals';
import type { TaskflowOptionsInput } from '../../../lib/config/taskflow-options.interface.js';
import type { SubmitParams } from '../../../lib/contracts/task-system.interface.js';
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
const many = (items: readonly SubmitParams<unknown>[]): Promise<readonly Task[]> => house.until(house.system.submitMany('work', items));
const refusal = (promise: Promise<unknown>): Promise<{ code?: string; limit?: string; field?: string; retryAfterMs?: number }> =>
  promise.then(
    () => ({}),
    (error: object) => error,
  );
const frames = (): number =>
  house
    .durableText()
    .split('\n')
    .filter((line) => line.startsWith('#B')).length;
const inputs = (count: number): SubmitParams<unknown>[] => Array.from({ length: count }, (_, input) => ({ input, userId: 'ann' }));

afterEach(async () => {
  await house.stop();
});

describe('submitMany', () => {
  it('makes all tasks in one frame, answers in their order, and starts those for whom there is a slot', async () => {
    await open({ guard: { slots: { maxExecutionGlobal: 3, maxExecutionPerUser: 3 } } });
    const before = frames();
    const tasks = await many(inputs(200));
    expect(frames() - before).toBe(1);
    expect(tasks.map(({ input }) => input)).toEqual(inputs(200).map(({ input }) => input));
    await house.run(0);
    expect([...work.runs.keys()]).toEqual(tasks.slice(0, 3).map(({ id }) => id));
    expect(house.system.getStats().tasks).toMatchObject({ queued: 197, running: 3 });
    house.crash();
    work.forget();
    await house.start();
    for (const task of tasks) expect(await house.until(house.system.get(task))).not.toBeNull();
  });

  it('gives slots, quota and keys back when the log has no room', async () => {
    await open({ guard: { slots: { maxExecutionGlobal: 2 }, backpressure: { maxTasksPerWindow: 3 } } });
    house.disk.fault = { at: house.disk.operations.length + 1, kind: 'ENOSPC', only: ['write'] };
    const items = [1, 2, 3].map((input) => ({ input, idempotencyKey: `k${input}` }));
    expect(await refusal(many(items))).toMatchObject({ code: 'EVENT_LOG_FULL' });
    expect(house.disk.hasFired).toBe(true);
    expect(house.system.getStats().guard.slotsInUse).toBe(0);
    await house.run(5_000);
    expect(await many(items)).toHaveLength(3);
  });

  it('takes over the keys of ended tasks in the same frame', async () => {
    await open();
    const [old] = await many([{ input: 1, idempotencyKey: 'a' }]);
    await house.run(0);
    await house.until(house.system.cancel(old!));
    await house.run(0);
    const before = frames();
    const items = ['never', 'ended', 'never'].map((keyReuse) => ({ input: 1, idempotencyKey: 'a', keyReuse: keyReuse as 'never' }));
    const tasks = await many(items);
    expect(frames() - before).toBe(1);
    expect([tasks[0]!.id === old!.id, tasks[1]!.id === old!.id, tasks[2]!.id === tasks[1]!.id]).toEqual([true, false, true]);
  });

  it('asks the database for the tasks whose keys it takes over together, not one after the other', async () => {
    await open();
    const items = inputs(50).map((item, n) => ({ ...item, idempotencyKey: `k${n}`, delayMs: 3_600_000 }));
    const old = await many(items);
    await house.until(Promise.all(old.map((task) => house.system.cancel(task, { userId: 'ann' }))));
    await house.flushed();
    expect(house.overlay.get(old[0]!.id)).toBeUndefined();
    const asked = jest.spyOn(house.parts.store, 'findByIds');
    const tasks = await many(items.map((item) => ({ ...item, keyReuse: 'ended' as const })));
    expect(new Set([...old, ...tasks].map(({ id }) => id)).size).toBe(100);
    expect(asked.mock.calls.flatMap(([ids]) => ids).length).toBeGreaterThanOrEqual(50);
    expect(asked.mock.calls.length).toBeLessThan(10);
  });
});
