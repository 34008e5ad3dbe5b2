import { afterEach, describe, expect, it } from '@jest/globals';
import type { TaskflowOptionsInput } from '../../../lib/config/taskflow-options.interface.js';
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

afterEach(() => house.stop());

describe('a shutdown', () => {
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
