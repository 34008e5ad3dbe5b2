import { afterEach, beforeEach, expect, it } from '@jest/globals';
import { FACT_PORT } from '../../../lib/config/taskflow.tokens.js';
import type { FactPort } from '../../../lib/contracts/fact-port.interface.js';
import { HandDrivenWork } from '../../support/doubles/hand-driven-work.js';
import { WholeSystem } from '../../support/doubles/whole-system.js';

let house: WholeSystem;
let work: HandDrivenWork;

beforeEach(async () => {
  house = new WholeSystem({ guard: { slots: { maxExecutionGlobal: 1 } } });
  work = new HandDrivenWork();
  house.definitions.set('work', work.definition);
  await house.start();
});
afterEach(() => house.stop());

const facts = (): FactPort => house.get<FactPort>(FACT_PORT);

it('a run whose cancel request somebody else made durable hears of it, and ends cancelled', async () => {
  const { id } = await house.until(house.system.submit('work', { input: 1 }));
  await house.run(0);
  const { signal } = work.run(id).ctx;
  await house.until(
    facts().append([{ type: 'cancel', taskId: id, data: { reason: 'an operator' }, expect: { status: ['running'], fence: 1 } }]),
  );
  expect(signal.aborted).toBe(true);
  await house.run(100);
  expect(await house.system.getStatus({ id })).toMatchObject({ status: 'cancelled', cancelReason: 'an operator' });
  expect(house.system.getStats()).toMatchObject({ tasks: { running: 0 }, guard: { slotsInUse: 0 } });
});

it('a waiting task that somebody else cancelled waits no longer', async () => {
  const first = await house.until(house.system.submit('work', { input: 1 }));
  const { id } = await house.until(house.system.submit('work', { input: 2 }));
  expect(house.system.getStats().tasks).toMatchObject({ running: 1, queued: 1 });
  await house.until(facts().append([{ type: 'cancelled', taskId: id, expect: { status: ['created'] } }]));
  expect(house.system.getStats().tasks).toMatchObject({ running: 1, queued: 0 });
  work.run(first.id).resolve(null);
  await house.run(100);
  expect(work.calls.map(({ taskId }) => taskId)).toEqual([first.id]);
});
