import { describe, expect, it, jest } from '@jest/globals';
import type { FactDraft } from '../../../lib/contracts/fact-port.interface.js';
import type { TaskId } from '../../../lib/contracts/ids.js';
import { FrameBuilder } from '../../../lib/engines/local/wal/frame-builder.js';
import { settle } from '../../support/clock/fake-clock.js';
import { LedgerHarness } from '../../support/doubles/ledger-harness.js';

const error = { name: 'Error', message: 'no', retryable: true };
type Change = Omit<FactDraft, 'taskId'>;
const RUN = { fence: 1, status: ['running'] as const };

/** Everything that may end a run, by whoever: handler, timeout, retry, cancel, shutdown, recovery. */
const OF_A_RUN: Record<string, Change> = {
  complete: { type: 'complete', data: { result: 1 }, expect: RUN },
  'timeout as last failure': { type: 'error', data: { error }, expect: RUN },
  'retry after failure': { type: 'retry', data: { reason: 'failed', runAt: 0, delayMs: 0, error }, expect: RUN },
  'release at shutdown': { type: 'retry', data: { reason: 'shutdown', runAt: 0, delayMs: 0 }, expect: RUN },
  cancelled: { type: 'cancelled', expect: RUN },
  recovered: { type: 'recovered', data: { reason: 'crash', recoveries: 1 }, expect: RUN },
};
const LATE: Record<string, Change> = {
  'late progress': { type: 'progress', data: { payload: 1 }, expect: RUN },
  'late heartbeat': { type: 'heartbeat', expect: RUN },
  'cancel request': { type: 'cancel', expect: RUN },
};
const OF_A_WAITING_TASK: Record<string, Change> = {
  start: { type: 'start', expect: { status: ['created'], fence: 0 } },
  cancelled: { type: 'cancelled', expect: { status: ['created'] } },
};
const DEAD = { status: ['failed'] as const, fence: 1, life: 1 };
const OF_A_DEAD_LETTER: Record<string, Change> = {
  'retry by hand': { type: 'retry', data: { reason: 'manual', runAt: 0, delayMs: 0 }, expect: DEAD },
  pruned: { type: 'pruned', expect: DEAD },
};

const pairs = (first: Record<string, Change>, second = first): [string, string, Change, Change][] =>
  Object.entries(first).flatMap(([a, one]) =>
    Object.entries(second).map(([b, other]): [string, string, Change, Change] => [a, b, one, other]),
  );

const draft = (id: TaskId, change: Change): FactDraft => ({ ...change, taskId: id });

it.each(pairs(OF_A_WAITING_TASK))(
  'a waiting task: %s wins over %s when it comes first, and only one is in the log',
  async (_first, _second, first, second) => {
    const harness = await LedgerHarness.open();
    const id = await harness.task('created');
    const outcomes = await Promise.all([first, second].map((change) => harness.outcome(harness.ledger.append([draft(id, change)]))));
    expect(outcomes).toEqual(['applied', 'stale']);
    expect((await harness.entries(id)).map((line) => line.split(' ').at(-1))).toEqual(['created', first.type]);
    await harness.log.close();
  },
);

describe.each([
  ['running', pairs(OF_A_RUN)],
  ['running', pairs(OF_A_RUN, LATE)],
  ['created', pairs(OF_A_WAITING_TASK)],
  ['failed', pairs(OF_A_DEAD_LETTER)],
] as const)('two changes of a %s task in the same moment', (status, races) => {
  it.each([...races])('%s refused for want of space leaves the field to %s', async (_first, _second, first, second) => {
    const harness = await LedgerHarness.open();
    const id = await harness.task(status);
    const before = await harness.entries(id);
    harness.disk.fault = { at: harness.disk.operations.length + 1, kind: 'ENOSPC', only: ['write'] };
    const winner = harness.outcome(harness.ledger.append([draft(id, first)]));
    const loser = harness.outcome(harness.ledger.append([draft(id, second)]));
    expect(await winner).toBe('EVENT_LOG_FULL/none');
    expect(harness.disk.hasFired).toBe(true);
    // It waited for the winner's sync, and is decided anew: by then the log takes nothing either.
    expect(await loser).toBe('EVENT_LOG_FULL/none');
    const waiting = harness.ledger.whenAccepting('lifecycle');
    await harness.clock.run(1_000);
    await waiting;
    expect(await harness.outcome(harness.ledger.append([draft(id, second)]))).toBe('applied');
    expect((await harness.entries(id)).slice(before.length).map((line) => line.split(' ').at(-1))).toEqual([second.type]);
    await harness.log.close();
  });
});

describe('a run that was asked to stop', () => {
  it.each(['recovered', 'timeout as last failure'])('and is known to the database alone is not put back by %s', async (name) => {
    const harness = await LedgerHarness.open();
    const id = await harness.runningRow();
    const racing = [LATE['cancel request']!, OF_A_RUN[name]!].map((change) => harness.ledger.append([draft(id, change)]));
    expect(await Promise.all(racing.map((append) => harness.outcome(append)))).toEqual(['applied', 'stale']);
    expect(harness.ledger.pending(id)).toMatchObject({ status: 'running', cancelRequest: {} });
    await harness.log.close();
  });
});

describe('a cancel request', () => {
  it('that is on its way is seen by the run that is about to complete', async () => {
    const harness = await LedgerHarness.open();
    const id = await harness.task('running');
    const request = harness.ledger.append([{ type: 'cancel', taskId: id, expect: RUN }]);
    expect(harness.ledger.pending(id)).toMatchObject({ status: 'running', cancelRequest: {} });
    expect(await harness.outcome(request)).toBe('applied');
    expect((await harness.reader.load(id))!.cancelRequest).not.toBeNull();
    await harness.log.close();
  });

  it('that was refused for want of space no longer counts', async () => {
    const harness = await LedgerHarness.open();
    const id = await harness.task('running');
    harness.disk.fault = { at: harness.disk.operations.length + 1, kind: 'ENOSPC', only: ['write'] };
    expect(await harness.outcome(harness.ledger.append([{ type: 'cancel', taskId: id, expect: RUN }]))).toBe('EVENT_LOG_FULL/none');
    expect(harness.disk.hasFired).toBe(true);
    expect(harness.ledger.pending(id)).toMatchObject({ status: 'running', cancelRequest: null });
    await harness.log.close();
  });
});

describe('a refused frame', () => {
  it('refuses what waits behind it for the same task, and gives the same numbers to what comes later', async () => {
    const harness = await LedgerHarness.open();
    const id = await harness.task('running');
    harness.disk.fault = { at: harness.disk.operations.length + 1, kind: 'ENOSPC', only: ['write'] };
    const entries = [1, 2, 3].map((payload) =>
      harness.outcome(harness.ledger.append([{ type: 'progress', taskId: id, data: { payload }, expect: RUN }])),
    );
    expect(await Promise.all(entries)).toEqual(Array(3).fill('EVENT_LOG_FULL/none'));
    expect(harness.disk.hasFired).toBe(true);
    expect(harness.ledger.pending(id)).toMatchObject({ lastSeq: 2 });
    await harness.clock.run(1_000);
    expect(await harness.outcome(harness.ledger.append([{ type: 'progress', taskId: id, data: { payload: 4 }, expect: RUN }]))).toBe(
      'applied',
    );
    expect(await harness.entries(id)).toEqual(['1 created', '2 start', '3 progress']);
    await harness.log.close();
  });

  it('refuses what was appended while it was written, and numbers go on without a gap', async () => {
    const harness = await LedgerHarness.open();
    const id = await harness.task('running');
    const progress = (payload: number) =>
      harness.outcome(harness.ledger.append([{ type: 'progress', taskId: id, data: { payload }, expect: RUN }]));
    harness.disk.fault = { at: harness.disk.operations.length + 1, kind: 'ENOSPC', only: ['write'] };
    const write = harness.disk.write.bind(harness.disk);
    let behind: string | undefined;
    harness.disk.write = (...args) => {
      if (behind === undefined) void progress(2).then((outcome) => (behind = outcome));
      behind ??= 'waits';
      return write(...args);
    };
    expect(await progress(1)).toBe('EVENT_LOG_FULL/none');
    expect(harness.disk.hasFired).toBe(true);
    await settle();
    expect(behind).toBe('EVENT_LOG_FULL/none');
    await harness.clock.run(1_000);
    expect(await progress(3)).toBe('applied');
    expect(await harness.entries(id)).toEqual(['1 created', '2 start', '3 progress']);
    await harness.log.close();
  });

  it('leaves nothing of a task whose `created` was in it, and the next submit of its key finds the key free', async () => {
    const harness = await LedgerHarness.open();
    harness.disk.fault = { at: harness.disk.operations.length + 1, kind: 'ENOSPC', only: ['write'] };
    const id = '01a206f8-0000-7000-8000-000000000001' as TaskId;
    const created: FactDraft = { type: 'created', taskId: id, data: { name: 'work', key: 'k', maxAttempts: 1, timeoutMs: 1, input: 1 } };
    expect(await harness.outcome(harness.ledger.append([created, { type: 'start', taskId: id }]))).toBe('EVENT_LOG_FULL/none');
    expect(harness.disk.hasFired).toBe(true);
    expect(harness.overlay.get(id)).toBeUndefined();
    expect(harness.overlay.findByKey('n:k')).toBeUndefined();
    expect(await harness.reader.load(id)).toBeNull();
    await harness.log.close();
  });

  it('whose sync failed leaves the outcome unknown, shows none of it, and takes nothing more', async () => {
    const harness = await LedgerHarness.open();
    const id = await harness.task('running');
    const shown: string[] = [];
    harness.ledger.onCommitted((facts) => shown.push(...facts.map((fact) => fact.entry.type)));
    harness.disk.fault = { at: harness.disk.operations.length + 1, kind: 'EIO', only: ['fdatasync'], persistent: true };
    const inFlight = harness.outcome(harness.ledger.append([{ type: 'complete', taskId: id, data: { result: 1 }, expect: RUN }]));
    expect(await inFlight).toBe('EVENT_LOG/unknown');
    expect(harness.disk.hasFired).toBe(true);
    expect(shown).toEqual([]);
    expect((await harness.reader.load(id))!.status).toBe('running');
    expect(await harness.outcome(harness.ledger.append([{ type: 'complete', taskId: id, data: { result: 1 }, expect: RUN }]))).toBe(
      'EVENT_LOG/none',
    );
  });
});

describe('a frame that there is no memory for', () => {
  it('is told to everyone who waits for it, and ends the log without a write', async () => {
    const harness = await LedgerHarness.open();
    const id = await harness.task('running');
    const before = await harness.entries(id);
    const build = jest.spyOn(FrameBuilder.prototype, 'build').mockImplementationOnce(() => {
      throw new RangeError('Array buffer allocation failed');
    });
    const appends = [LATE['late progress']!, OF_A_RUN['complete']!].map((change) => harness.ledger.append([draft(id, change)]));
    expect(await Promise.all(appends.map((append) => harness.outcome(append)))).toEqual(['EVENT_LOG/none', 'EVENT_LOG/none']);
    expect([build.mock.calls.length, harness.log.state]).toEqual([1, 'failed']);
    expect(harness.ledger.pending(id)).toMatchObject({ status: 'running' });
    expect(await harness.entries(id)).toEqual(before);
    build.mockRestore();
    await harness.log.close();
  });
});
