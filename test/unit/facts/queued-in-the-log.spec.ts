import { describe, expect, it, jest } from '@jest/globals';
import type { EntryAddress } from '../../../lib/contracts/event-log.interface.js';
import type { TaskId } from '../../../lib/contracts/ids.js';
import type { TaskState } from '../../../lib/domain/task-state.js';
import { Deferred } from '../../../lib/primitives/deferred.js';
import { settle } from '../../support/clock/fake-clock.js';
import { LedgerHarness } from '../../support/doubles/ledger-harness.js';

/** A task that waits in a long queue: flushed, no longer in memory; the queue knows where its `created` lies. */
async function waiting(harness: LedgerHarness): Promise<{ id: TaskId; state: TaskState; createdOf: () => EntryAddress | undefined }> {
  const id = await harness.task('created');
  const address = harness.ledger.createdOf(id);
  const state = (await harness.ledger.load(id))!;
  harness.ledger.release(id);
  await harness.flush(id);
  expect(address).toBeDefined();
  expect(harness.overlay.get(id)).toBeUndefined();
  return { id, state, createdOf: () => address };
}

describe('a task of a long queue', () => {
  it('is read in the log when its turn comes, and the database is not asked', async () => {
    const harness = await LedgerHarness.open();
    const { id, state, createdOf } = await waiting(harness);
    const asked = jest.spyOn(harness.repository, 'findById');
    const held = await harness.ledger.hold([id], createdOf);
    expect(held).toEqual([state]);
    expect(asked).not.toHaveBeenCalled();
    expect(await harness.outcome(harness.ledger.append([{ type: 'start', taskId: id, expect: { status: ['created'], fence: 0 } }]))).toBe(
      'applied',
    );
    expect(await harness.entries(id)).toEqual(['1 created', '2 start']);
    await harness.log.close();
  });

  it('is read in the database when the log has its entry no more', async () => {
    const harness = await LedgerHarness.open();
    const { id } = await waiting(harness);
    const row = await harness.ledger.load(id);
    expect(await harness.ledger.hold([id], () => ({ segment: 0, offset: 100, length: 50 }))).toEqual([row]);
    await harness.log.close();
  });

  it('is not taken for another task, whatever lies at its place', async () => {
    const harness = await LedgerHarness.open();
    const { createdOf } = await waiting(harness);
    const { id } = await waiting(harness);
    expect((await harness.ledger.hold([id], createdOf)).map((task) => task.id)).toEqual([id]);
    await harness.log.close();
  });

  it('is not held ready to run when it was cancelled, and that was flushed, while it was read', async () => {
    const harness = await LedgerHarness.open();
    const { id, createdOf } = await waiting(harness);
    const read = new Deferred();
    const readMany = harness.log.readMany.bind(harness.log);
    jest.spyOn(harness.log, 'readMany').mockImplementationOnce(async (addresses) => {
      const entries = await readMany(addresses);
      await read.promise;
      return entries;
    });
    const holding = harness.ledger.hold([id], createdOf);
    await settle();
    expect(await harness.outcome(harness.ledger.append([{ type: 'cancelled', taskId: id }]))).toBe('applied');
    await harness.flush(id);
    expect(harness.overlay.get(id)).toBeUndefined();
    read.resolve();
    expect(await holding).toEqual([]);
    expect(await harness.entries(id)).toEqual(['1 created', '2 cancelled']);
    await harness.log.close();
  });

  it('has no place there once it has another entry', async () => {
    const harness = await LedgerHarness.open();
    const id = await harness.task('running');
    expect(harness.ledger.createdOf(id)).toBeUndefined();
    await harness.log.close();
  });
});
