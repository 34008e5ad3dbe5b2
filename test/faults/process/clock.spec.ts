import { afterEach, describe, expect, it } from '@jest/globals';
import type { TaskflowOptionsInput } from '../../../lib/config/taskflow-options.interface.js';
import type { TaskDefinition } from '../../../lib/contracts/task-handler.interface.js';
import type { StoredEvent } from '../../../lib/contracts/task-event.interface.js';
import type { SubmitParams } from '../../../lib/contracts/task-system.interface.js';
import type { Task } from '../../../lib/contracts/task.interface.js';
import { BackpressureError } from '../../../lib/errors/admission.errors.js';
import { HandDrivenWork } from '../../support/doubles/hand-driven-work.js';
import { WholeSystem } from '../../support/doubles/whole-system.js';

const HOUR_MS = 3_600_000;
const MINUTE_MS = 60_000;
const JUMPS: readonly (readonly [string, number])[] = [
  ['set back by an hour', -HOUR_MS],
  ['set forward by an hour', HOUR_MS],
];

let house: WholeSystem;
let work: HandDrivenWork;

async function open(options: TaskflowOptionsInput = {}, definition: Partial<TaskDefinition> = {}): Promise<void> {
  house = new WholeSystem(options);
  work = new HandDrivenWork(definition);
  house.definitions.set('work', work.definition);
  await house.start();
}
afterEach(() => house.stop());

const submit = (more: Partial<SubmitParams<unknown>> = {}): Promise<Task> =>
  house.until(house.system.submit('work', { input: 1, ...more }));
const statusOf = async ({ id }: Task): Promise<string | undefined> => (await house.until(house.system.getStatus({ id })))?.status;

/** The wall clock is set; the fault is real when it shows. */
function jump(ms: number): void {
  const before = house.clock.now();
  house.clock.jump(ms);
  expect(house.clock.now() - before).toBe(ms);
}

describe.each(JUMPS)('a wall clock that is %s', (_how, ms) => {
  it('never lets the timestamps of a task run backwards, nor do they after a crash', async () => {
    await open();
    const task = await submit();
    await house.until(work.run(task.id).ctx.progress(1));
    jump(ms);
    await house.until(work.run(task.id).ctx.progress(2));
    work.run(task.id).reject(new Error('no'));
    await house.run(1_500);
    house.crash();
    work.forget();
    await house.start(-ms);
    await house.run(200);
    work.run(task.id).resolve('done');
    await house.flushed();
    const times: number[] = [];
    for await (const event of house.system.subscribe({ id: task.id })) times.push((event as StoredEvent).timestamp);
    expect(times.length).toBeGreaterThanOrEqual(8);
    expect(times).toEqual([...times].sort((a, b) => a - b));
  });

  it('leaves the windows of the guard as long as they are', async () => {
    const backpressure = { maxTasksPerWindow: 100, maxTasksPerUserWindow: 3, windowSizeMs: MINUTE_MS, maxQueuedSize: 100 };
    await open({ guard: { backpressure } });
    for (let n = 0; n < 3; n++) await submit({ userId: 'ann' });
    await house.run(10_000);
    jump(ms);
    const refused = await submit({ userId: 'ann' }).catch((error: unknown) => error);
    expect(BackpressureError.is(refused)).toBe(true);
    expect(refused).toMatchObject({ limit: 'user', retryAfterMs: expect.any(Number) });
    expect((refused as BackpressureError).retryAfterMs).toBeGreaterThan(45_000);
    expect((refused as BackpressureError).retryAfterMs).toBeLessThanOrEqual(50_000);
    await house.run(50_000);
    expect(await submit({ userId: 'ann' })).toMatchObject({ status: 'created' });
  });

  it('leaves timeouts as long as they are', async () => {
    await open({}, { timeoutMs: 10_000, retry: { maxAttempts: 1 } });
    const task = await submit();
    await house.run(4_000);
    jump(ms);
    await house.run(5_000);
    expect(await statusOf(task)).toBe('running');
    await house.run(2_000);
    expect(await house.until(house.system.getStatus({ id: task.id }))).toMatchObject({
      status: 'failed',
      error: { name: 'TaskTimeoutError' },
    });
  });

  it('leaves the backoff between attempts as long as it is', async () => {
    await open({}, { retry: { maxAttempts: 2, initialDelayMs: 10_000, jitter: false } });
    const task = await submit();
    work.run(task.id).reject(new Error('no'));
    await house.run(1_000);
    jump(ms);
    await house.run(8_000);
    expect(await statusOf(task)).toBe('created');
    await house.run(2_000);
    expect(await statusOf(task)).toBe('running');
    expect(work.calls).toHaveLength(2);
  });

  it('is the clock that runAt means', async () => {
    await open();
    const runAt = house.clock.now() + 30 * MINUTE_MS;
    const task = await submit({ runAt: new Date(runAt) });
    jump(ms);
    await house.run(1_000);
    expect(await statusOf(task)).toBe(ms > 0 ? 'running' : 'created');
    if (ms > 0) return;
    await house.run(runAt - house.clock.now() - 2_000);
    expect(work.calls).toHaveLength(0);
    await house.run(3_000);
    expect(await statusOf(task)).toBe('running');
  });

  it('lets a running task go on with its beats, and recovers none', async () => {
    await open();
    const task = await submit();
    await house.run(10_000);
    jump(ms);
    await house.run(20_000);
    await house.flushed();
    expect(await house.until(house.system.getStatus({ id: task.id }))).toMatchObject({ status: 'running', fence: 1, recoveries: 0 });
    expect(house.system.getStats().tasks.recovered).toBe(0);
    work.run(task.id).resolve('done');
    await house.run(100);
    expect(await statusOf(task)).toBe('completed');
  });
});
