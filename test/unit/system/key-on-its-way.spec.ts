import { afterEach, describe, expect, it } from '@jest/globals';
import { FACT_PORT } from '../../../lib/config/taskflow.tokens.js';
import type { FactPort } from '../../../lib/contracts/fact-port.interface.js';
import { taskId } from '../../../lib/contracts/ids.js';
import type { Task } from '../../../lib/contracts/task.interface.js';
import { scopedKey } from '../../../lib/domain/task-key.js';
import { changed, type TaskState } from '../../../lib/domain/task-state.js';
import { Overlay } from '../../../lib/engines/local/ledger/overlay.js';
import { HandDrivenWork } from '../../support/doubles/hand-driven-work.js';
import { WholeSystem } from '../../support/doubles/whole-system.js';

let house: WholeSystem;
let work: HandDrivenWork;
const SCOPED = scopedKey(taskId(''), 'ann', 'k');

/** Nothing is flushed but when it is told to. */
async function open(): Promise<void> {
  house = new WholeSystem({ flush: { flushIntervalMs: 3_600_000 } });
  work = new HandDrivenWork();
  house.definitions.set('work', work.definition);
  await house.start();
}
const ask = (): Promise<Task> =>
  house.system.submit('work', { input: 1, userId: 'ann', idempotencyKey: 'k', maxAttempts: 1, keyReuse: 'ended' });

async function failed(): Promise<Task> {
  const task = await house.until(ask());
  await house.run(0);
  work.run(task.id).reject(new Error('no'));
  await house.run(0);
  expect((await house.until(house.system.get(task)))?.status).toBe('failed');
  return task;
}

describe('A key on its way to a newer task', () => {
  afterEach(() => house.stop());

  it('is the old one’s until the new one is durable, also where the database knows neither', async () => {
    await open();
    const old = await failed();
    expect(house.system.getStats().flush.appliedSeq).toBe(0);
    const asked = ask();
    const reader = house.parts.reader;
    for (let turn = 0; house.overlay.findByKey(SCOPED)?.durable !== null; turn++) {
      if (turn === 1_000) throw new Error('The new task was never on its way.');
      await Promise.resolve();
    }
    const found = reader.findByKey(SCOPED);
    expect((await house.until(found))?.id).toBe(old.id);
    const next = await house.until(asked);
    expect(next.id).not.toBe(old.id);
    expect((await house.until(reader.findByKey(SCOPED)))?.id).toBe(next.id);
  });

  it('keeps its place in the numbers when its task is pruned, and the process dies before that is flushed', async () => {
    await open();
    const old = await failed();
    const outcome = await house.until(house.get<FactPort>(FACT_PORT).append([{ type: 'pruned', taskId: taskId(old.id) }]));
    expect(outcome.kind).toBe('applied');
    expect(house.system.getStats().flush.appliedSeq).toBe(0);
    house.crash();
    work.forget();
    await house.start();
    const next = await house.until(ask());
    expect(next.keyBase).toBe(4);
    const stream = house.system.sse('k', { userId: 'ann', lastSeq: 2 });
    await expect(house.until(stream)).rejects.toMatchObject({ code: 'STREAM_OVERFLOW', firstAvailableSeq: 5 });
  });
});

describe('The row of an earlier task of a key', () => {
  it('does not take the key from a later one that was pruned, whose row is not gone yet', async () => {
    await open();
    const state = await house.until(house.parts.reader.load(taskId((await failed()).id)));
    await house.stop();
    const overlay = new Overlay();
    const later = overlay.begin(taskId('later'), SCOPED);
    later.become(changed(state!, { id: taskId('later'), keyBase: 4, lastSeq: 3 }), 1);
    later.become(null, 2);
    const row: TaskState = changed(state!, { id: taskId('earlier'), keyBase: 0 });
    overlay.adopt(row);
    expect(overlay.findByKey(SCOPED)?.nextKeyBase).toBe(8);
    // One that came after it has the key.
    overlay.adopt(changed(row, { id: taskId('newest'), keyBase: 8 }));
    expect(overlay.findByKey(SCOPED)?.id).toBe('newest');
  });
});
