import { describe, expect, it } from '@jest/globals';
import type { WorkerMessage } from '../../../lib/engines/local/projection/worker/worker-protocol.js';
import { WorkerSession } from '../../../lib/engines/local/projection/worker/worker-session.js';
import { FencedWriterError } from '../../../lib/engines/local/storage/flush.errors.js';
import { FakeClock, FakeIdSource, settle } from '../../support/clock/fake-clock.js';
import { down, LOG_ID, loopOptions, MemoryLog, MemoryProjector } from './flush-doubles.js';

function setUp() {
  const clock = new FakeClock();
  const log = new MemoryLog();
  const projector = new MemoryProjector();
  const sent: WorkerMessage[] = [];
  const untaken: (() => void)[] = [];
  let halts = 0;
  const channel = { takes: true };
  const session = new WorkerSession(loopOptions(), {
    source: log,
    projector,
    clock,
    ids: new FakeIdSource(),
    send: (message, done) => {
      sent.push(structuredClone(message));
      if (channel.takes) done();
      else untaken.push(done);
    },
    onHalted: () => halts++,
  });
  const reports = () => sent.flatMap((message) => (message.type === 'report' ? [message] : []));
  return { clock, log, projector, session, sent, reports, untaken, channel, halted: () => halts };
}

describe('WorkerSession', () => {
  it('merges what happens within 10 ms into one report: the newest cursor, all that was set aside', async () => {
    const { session, log, projector, reports, clock } = setUp();
    projector.quarantinedNext = 2;
    session.noticed({ kind: 'key-conflict', taskId: 'a', holder: 'b' });
    session.start(log.append(10, 10, 10));
    await clock.run(10);
    expect(reports()).toMatchObject([{ cursor: { appliedSeq: 30 }, quarantined: 2, notices: [{ taskId: 'a' }] }]);
  });

  it('piles nothing up while the parent does not read', async () => {
    const { session, log, reports, clock, channel, untaken } = setUp();
    channel.takes = false;
    session.start(log.append(10));
    for (let round = 0; round < 50; round++) {
      session.advance(log.append(10));
      for (let notice = 0; notice < 10; notice++) session.noticed({ kind: 'quarantined', taskId: `${notice}`, entries: 1, reason: 'r' });
      await clock.run(20);
    }
    expect(reports()).toHaveLength(1);
    untaken.splice(0).forEach((done) => done());
    await clock.run(10);
    expect(reports()[1]).toMatchObject({ cursor: { appliedSeq: 510 } });
    expect(reports()[1]?.notices).toHaveLength(20);
  });

  it('tells the last cursor before it ends, also when a report is on its way', async () => {
    const { session, log, reports, clock, channel, untaken } = setUp();
    channel.takes = false;
    session.start(log.append(10));
    await clock.run(10);
    session.advance(log.append(10));
    await settle();
    let isStopped = false;
    const stopping = session.stop().then(() => (isStopped = true));
    await settle();
    expect([reports().length, isStopped]).toEqual([1, false]);
    untaken.splice(0).forEach((done) => done());
    untaken.splice(0).forEach((done) => done());
    await stopping;
    expect(reports().at(-1)?.cursor?.appliedSeq).toBe(20);
  });

  it('tells of the breaker, with a reason and without the text of the driver', async () => {
    const { session, log, projector, reports, clock } = setUp();
    projector.faults.push(down(), down(), down());
    session.start(log.append(10));
    await clock.run(60_000);
    expect(reports().find(({ breaker }) => breaker === 'open')?.reason).toBe('Error (ECONNREFUSED)');
    expect(reports().at(-1)).toMatchObject({ breaker: 'closed', reason: undefined });
    expect(projector.faultsFired).toBe(3);
  });

  it('says that it ended for good, and ends only after that was said', async () => {
    const { session, log, projector, sent, halted, channel, untaken } = setUp();
    channel.takes = false;
    projector.faults.push(new FencedWriterError(LOG_ID, 1, 2));
    session.start(log.append(10));
    await settle();
    expect(sent).toEqual([{ type: 'halted', reason: 'Log log-1: generation 2 writes now, 1 must end.' }]);
    expect(halted()).toBe(0);
    untaken.forEach((done) => done());
    expect(halted()).toBe(1);
  });
});
