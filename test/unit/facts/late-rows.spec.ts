import { describe, expect, it, jest } from '@jest/globals';
import type { Task } from '../../../lib/contracts/task.interface.js';
import { Deferred } from '../../../lib/primitives/deferred.js';
import { settle } from '../../support/clock/fake-clock.js';
import { LedgerHarness } from '../../support/doubles/ledger-harness.js';

/** The database answers the next question for this task when it is told to, with what it had when it was asked. */
function delayNextRead(harness: LedgerHarness): { answer: () => void } {
  const { repository } = harness;
  const answered = new Deferred();
  jest.spyOn(repository, 'findById').mockImplementationOnce(async (id) => {
    const row: Task | null = repository.tasks.get(id) ?? null;
    await answered.promise;
    return row;
  });
  return { answer: () => answered.resolve() };
}

/** The run ends, the database gets to know, and memory lets go: all while somebody else's question is on its way. */
async function runToTheEnd(harness: LedgerHarness, id: Awaited<ReturnType<LedgerHarness['task']>>): Promise<void> {
  expect(await harness.outcome(harness.ledger.append([{ type: 'complete', taskId: id, data: { result: 1 } }]))).toBe('applied');
  harness.ledger.release(id);
  await harness.flush(id);
  expect(harness.overlay.get(id)).toBeUndefined();
}

describe('a row that was read before its task ended, and arrives after that was flushed', () => {
  it('is read again before anything is appended: the end stays the only one', async () => {
    const harness = await LedgerHarness.open();
    const id = await harness.runningRow();
    const log = new Deferred<never[]>();
    // The reading ahead has the row, and waits for the log's share of its tasks.
    jest.spyOn(harness.log, 'readMany').mockReturnValueOnce(log.promise);
    const holding = harness.ledger.hold([id]);
    await settle();
    const slow = delayNextRead(harness);
    const cancelled = harness.outcome(
      harness.ledger.append([{ type: 'cancelled', taskId: id, expect: { status: ['created', 'running'] } }]),
    );
    await settle();
    log.resolve([]);
    expect(await holding).toHaveLength(1);
    await runToTheEnd(harness, id);
    slow.answer();
    expect(await cancelled).toBe('stale');
    expect(await harness.entries(id)).toEqual(['3 complete']);
    await harness.log.close();
  });

  it('is not held ready to run', async () => {
    const harness = await LedgerHarness.open();
    const id = await harness.runningRow();
    const log = new Deferred<never[]>();
    jest.spyOn(harness.log, 'readMany').mockReturnValueOnce(log.promise);
    const holding = harness.ledger.hold([id]);
    await settle();
    expect(await harness.outcome(harness.ledger.append([{ type: 'heartbeat', taskId: id }]))).toBe('applied');
    await runToTheEnd(harness, id);
    log.resolve([]);
    expect(await holding).toEqual([]);
    expect([...harness.overlay.values()]).toEqual([]);
    await harness.log.close();
  });
});

describe('a task that came from a machine whose clock is ahead', () => {
  it('goes on from its own time: timestamps never run backwards within it, and no other task is dated by it', async () => {
    const harness = await LedgerHarness.open();
    const theirs = harness.clock.now() + 3_600_000;
    const id = await harness.runningRow(theirs);
    const ended = await harness.ledger.append([{ type: 'complete', taskId: id, data: { result: 1 } }]);
    expect(ended).toMatchObject({ kind: 'applied', at: theirs, task: { lastEventAt: theirs, startedAt: theirs } });
    const later = await harness.task('created');
    expect(harness.overlay.get(later)?.durable?.createdAt).toBe(harness.clock.now());
    await harness.log.close();
  });
});
