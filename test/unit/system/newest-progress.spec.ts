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
const submit = (more: object = {}): Promise<Task> => house.until(house.system.submit('work', { input: { n: 1 }, maxAttempts: 1, ...more }));

afterEach(async () => {
  await house.stop();
});

describe('The newest progress', () => {
  it('is in the task, of its present life, where it is small; in memory, in rows, and after a crash', async () => {
    await open();
    const shown = async (task: Task): Promise<unknown> => (await house.until(house.system.get(task)))?.progress;
    const task = await submit({ maxAttempts: 2 });
    const { ctx } = work.run(task.id);
    await house.until(ctx.progress({ percent: 10 }));
    await house.until(ctx.progress({ percent: 20 }));
    expect(await shown(task)).toEqual({ percent: 20 });
    await house.flushed();
    expect(house.shared.rows.tasks.get(task.id)?.progress).toEqual({ percent: 20 });
    house.crash();
    await house.start();
    await house.run(0);
    expect(await shown(task)).toEqual({ percent: 20 });
    await house.until(work.run(task.id).ctx.progress({ text: 'x'.repeat(5_000) }));
    expect(await shown(task)).toBeUndefined();
    await house.until(work.run(task.id).ctx.progress(30));
    work.run(task.id).reject(new TypeError('no'));
    await house.until(house.system.cancel(task));
    await house.until(house.system.retry(task));
    expect(await shown(task)).toBeUndefined();
  });
});
