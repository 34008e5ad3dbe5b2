import { afterEach, describe, expect, it } from '@jest/globals';
import type { TaskflowOptionsInput } from '../../../lib/config/taskflow-options.interface.js';
import type { StoredEvent } from '../../../lib/contracts/task-event.interface.js';
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

const settled = (submit: Promise<Task>): Promise<Task | string> => submit.catch((error: unknown) => (error as { code: string }).code);

async function typesOf(id: Task['id']): Promise<string[]> {
  const types: string[] = [];
  for await (const event of house.system.subscribe({ id })) types.push(`${(event as StoredEvent).seq} ${event.type}`);
  return types;
}

afterEach(() => house.stop());

describe('a shutdown', () => {
  it.each([0, 1, 2, 3, 5, 8, 13, 21])(
    '%i turns after a submit was made leaves nothing that the next start takes for a crash',
    async (turns) => {
      await open({ shutdown: { timeoutMs: 200, forceKillTimeoutMs: 200 } });
      const submits = [1, 2, 3].map((input) => settled(house.system.submit('work', { input })));
      for (let turn = 0; turn < turns; turn++) await Promise.resolve();
      await house.stop();
      const answers = await Promise.all(submits);
      work.forget();
      work.isAutomatic = true;
      await house.start();
      await house.run(1_000);
      const accepted = answers.filter((answer) => typeof answer !== 'string');
      expect(accepted.length + answers.filter((answer) => answer === 'SHUTTING_DOWN').length).toBe(3);
      expect(house.system.getStats().tasks).toMatchObject({ recovered: 0 });
      for (const { id } of accepted) {
        const types = (await house.until(typesOf(id))).map((line) => line.split(' ')[1]);
        expect(types).not.toContain('recovered');
        expect(types.at(-1)).toBe('complete');
      }
    },
  );

  it('refuses submits that still wait for a slot: nothing is created', async () => {
    await open({ guard: { slots: { maxExecutionGlobal: 1 } }, shutdown: { timeoutMs: 1_000, forceKillTimeoutMs: 200 } });
    const running = await house.until(house.system.submit('work', { input: 1 }));
    const warnings: Error[] = [];
    const warned = (warning: Error): void => void warnings.push(warning);
    process.on('warning', warned);
    const waiting = Promise.all(Array.from({ length: 20 }, () => settled(house.system.submit('work', { input: 2, waitForSlot: true }))));
    await house.run(10);
    const stopping = house.stop();
    await house.run(10);
    work.runs.get(running.id)?.resolve('done');
    await house.until(stopping);
    expect(new Set(await waiting)).toEqual(new Set(['SHUTTING_DOWN']));
    process.off('warning', warned);
    expect(warnings).toEqual([]);
    expect(work.calls).toHaveLength(1);
    await house.start();
    await house.flushed();
    expect([...house.shared.rows.tasks.keys()]).toEqual([running.id]);
  });

  it('that its repository outlasts moves the position of nobody else', async () => {
    await open({ shutdown: { timeoutMs: 100, forceKillTimeoutMs: 200 } });
    work.isAutomatic = true;
    await house.until(house.system.submit('work', { input: 1 }));
    await house.flushed();
    const late = house.now.repository;
    const apply = late.executeBatch.bind(late);
    let answer!: () => void;
    const silence = new Promise<void>((resolve) => (answer = resolve));
    let isAsked = false;
    let isAnswered: Promise<void> | undefined;
    late.executeBatch = (entries) => {
      isAsked = true;
      return (isAnswered = silence.then(() => apply(entries)));
    };
    await house.until(house.system.submit('work', { input: 2 }));
    await house.run(5_000);
    expect(isAsked).toBe(true);
    await house.stop();

    await house.start();
    for (let n = 0; n < 5; n++) await house.until(house.system.submit('work', { input: n }));
    await house.flushed();
    answer();
    await isAnswered;
    await house.run(5_000);
    await house.until(house.system.submit('work', { input: 3 }));
    await house.flushed();
    expect(house.system.getStats()).toMatchObject({ status: 'running', flush: { breaker: 'closed' } });
  });
});
