import { EventEmitter } from 'node:events';
import { describe, expect, it } from '@jest/globals';
import type { Watermark } from '../../../lib/contracts/event-log.interface.js';
import { EventLogCorruptError, RepositoryError } from '../../../lib/errors/storage.errors.js';
import type { LostWorker } from '../../../lib/engines/local/projection/flush-notice.js';
import type { WorkerProcess } from '../../../lib/engines/local/projection/worker-supervisor.js';
import { WorkerSupervisor } from '../../../lib/engines/local/projection/worker-supervisor.js';
import type { ParentMessage, WorkerMessage } from '../../../lib/engines/local/projection/worker/worker-protocol.js';
import { describeHalt } from '../../../lib/engines/local/projection/worker/worker-protocol.js';
import { FakeClock, FakeIdSource, settle } from '../../support/clock/fake-clock.js';
import { LOG_ID, loopOptions, RecordedReports } from './flush-doubles.js';

class FakeWorker extends EventEmitter {
  readonly received: ParentMessage[] = [];
  readonly kills: string[] = [];
  /** Callbacks of sends that the channel has not taken. */
  readonly untaken: (() => void)[] = [];
  takes = true;
  readonly stderr = Object.assign(new EventEmitter(), { unref: () => undefined });

  constructor(readonly pid: number | undefined) {
    super();
  }
  send(message: ParentMessage, done: () => void): boolean {
    this.received.push(message);
    if (this.takes) done();
    else this.untaken.push(done);
    return true;
  }
  kill(signal: string): boolean {
    this.kills.push(signal);
    this.emit('close', null, signal);
    return true;
  }
  ref(): void {}
  unref(): void {}
  says(message: WorkerMessage): void {
    this.emit('message', message);
  }
  types(): string[] {
    return this.received.map(({ type }) => type);
  }
}

const at = (seq: number): Watermark => ({ segment: 1, byteOffset: seq * 10, seq });
const cursor = (appliedSeq: number) => ({ logId: LOG_ID, gen: 1, appliedSeq, appliedCrc: '0', ownerGen: 1 });
const report = (appliedSeq: number | undefined): WorkerMessage => ({
  type: 'report',
  cursor: appliedSeq === undefined ? undefined : cursor(appliedSeq),
  quarantined: 0,
  breaker: 'closed',
  reason: undefined,
  notices: [],
});

function setUp() {
  const clock = new FakeClock();
  const workers: FakeWorker[] = [];
  const lost: string[] = [];
  const said: LostWorker[] = [];
  const listener = new RecordedReports();
  let nextPid = 100;
  /** Which fork gets no process, as Node gives it when there is no descriptor left: no pid, no channel, not even `send`. */
  const unstartable = { at: -1 };
  const supervisor = new WorkerSupervisor(
    { loop: loopOptions(), repository: { type: 'sqlite' } as never },
    {
      fork: () => {
        const isUnstartable = workers.length === unstartable.at;
        const worker = new FakeWorker(isUnstartable ? undefined : nextPid++);
        if (isUnstartable) Object.defineProperty(worker, 'send', { value: undefined });
        workers.push(worker);
        return worker as unknown as WorkerProcess;
      },
      clock,
      ids: new FakeIdSource(),
      onNotice: () => undefined,
      onLost: (worker) => {
        lost.push(worker.how);
        said.push(worker);
      },
    },
  );
  const newest = (): FakeWorker => workers.at(-1)!;
  return { clock, workers, newest, lost, said, listener, supervisor, unstartable };
}

describe('WorkerSupervisor', () => {
  it('gives the worker its configuration by message, with the watermark of the moment', () => {
    const { supervisor, newest, listener } = setUp();
    supervisor.start(at(3), listener);
    expect(newest().received).toEqual([
      { type: 'start', config: { loop: loopOptions(), repository: { type: 'sqlite' } }, watermark: at(3) },
    ]);
    expect(supervisor.pid).toBe(100);
  });

  it('sends one watermark per 10 ms, the newest, however many frames there are', async () => {
    const { supervisor, newest, listener, clock } = setUp();
    supervisor.start(at(0), listener);
    for (let seq = 1; seq <= 1000; seq++) {
      supervisor.advance(at(seq));
      if (seq % 100 === 0) await clock.run(1);
    }
    await clock.run(10);
    const sent = newest().received.slice(1);
    expect(sent).toEqual([{ type: 'watermark', watermark: at(1000) }]);
  });

  it('piles nothing up in front of a worker that does not read', async () => {
    const { supervisor, newest, listener, clock } = setUp();
    supervisor.start(at(0), listener);
    newest().takes = false;
    for (let seq = 1; seq <= 100; seq++) {
      supervisor.advance(at(seq));
      await clock.run(20);
    }
    expect(newest().types()).toEqual(['start', 'watermark']);
    newest()
      .untaken.splice(0)
      .forEach((done) => done());
    await clock.run(20);
    expect(newest().received.at(-1)).toEqual({ type: 'watermark', watermark: at(100) });
  });

  it('says that the worker does not work after two deaths with nothing done, with its last words, and until one works', async () => {
    const { supervisor, newest, listener, clock, said } = setUp();
    supervisor.start(at(1), listener);
    const die = async (): Promise<void> => {
      newest().stderr.emit(
        'data',
        Buffer.from('Error: listen EADDRINUSE: address already in use :9464\n    at Server.setup (net:1)\n\nNode.js v24.1.0\n'),
      );
      newest().emit('close', 1, null);
      await clock.run(1_000);
    };
    await die();
    expect(supervisor.isFailing).toBe(false);
    await die();
    expect(supervisor.isFailing).toBe(true);
    expect(said[1]).toMatchObject({ how: 'exit code 1', inARow: 2, lastWords: 'Error: listen EADDRINUSE: address already in use :9464' });
    newest().says({ type: 'alive' });
    expect(supervisor.isFailing).toBe(true); // it lives, and has not done what there is to do
    newest().says(report(1));
    expect(supervisor.isFailing).toBe(false);
  });

  it('does not call an idle worker broken that was killed twice, once one answers again', async () => {
    const { supervisor, newest, listener, clock } = setUp();
    supervisor.start(at(0), listener);
    for (let death = 0; death < 2; death++) {
      newest().emit('close', null, 'SIGKILL');
      await clock.run(1_000);
    }
    expect(supervisor.isFailing).toBe(true);
    newest().says({ type: 'alive' });
    expect(supervisor.isFailing).toBe(false);
  });

  it('replaces a dead worker after a backoff, for ever, and tells the new one where the log is', async () => {
    const { supervisor, workers, newest, listener, clock, lost } = setUp();
    supervisor.start(at(0), listener);
    for (let death = 0; death < 30; death++) {
      supervisor.advance(at(death));
      newest().emit('close', null, 'SIGKILL');
      expect(supervisor.pid).toBeNull();
      await clock.run(30_000);
    }
    expect(workers).toHaveLength(31);
    expect(supervisor.restarts).toBe(30);
    // Not one line for each of them.
    expect(lost.length).toBeGreaterThan(2);
    expect(lost.length).toBeLessThan(30);
    expect(newest().received[0]).toMatchObject({ type: 'start', watermark: at(29) });
  });

  it('waits longer each time a worker dies without having got anything done, and not after one that did', async () => {
    const { supervisor, workers, newest, listener, clock } = setUp();
    supervisor.start(at(9), listener);
    const waitForNext = async (): Promise<number> => {
      const before = workers.length;
      newest().emit('close', 1, null);
      let waitedMs = 0;
      for (; workers.length === before; waitedMs++) await clock.run(1);
      return waitedMs;
    };
    newest().says(report(3));
    for (let death = 0; death < 6; death++) {
      await waitForNext();
      newest().says(report(3)); // where it begins, not progress
    }
    expect(await waitForNext()).toBeGreaterThan(3000);
    newest().says(report(4));
    expect(await waitForNext()).toBeLessThanOrEqual(101);
  });

  it('kills and replaces a worker that is silent for 30 s, and none that speaks', async () => {
    const { supervisor, workers, newest, listener, clock } = setUp();
    supervisor.start(at(0), listener);
    for (let round = 0; round < 20; round++) {
      await clock.run(25_000);
      newest().says({ type: 'alive' });
    }
    expect(workers).toHaveLength(1);
    await clock.run(30_000);
    expect(workers[0]?.kills).toEqual(['SIGKILL']);
    await clock.run(1000);
    expect(workers).toHaveLength(2);
  });

  it('kills a worker that it cannot talk to before it starts another one', async () => {
    const { supervisor, workers, newest, listener, clock } = setUp();
    supervisor.start(at(0), listener);
    newest().emit('error', new Error('write EPIPE'));
    expect(newest().kills).toEqual(['SIGKILL']);
    await clock.run(1000);
    expect(workers).toHaveLength(2);
  });

  it('tries again when no process could be started for want of descriptors', async () => {
    const { supervisor, workers, newest, lost, listener, clock, unstartable } = setUp();
    supervisor.start(at(0), listener);
    unstartable.at = 1;
    newest().emit('close', null, 'SIGKILL');
    await clock.run(1000);
    expect(newest().pid).toBeUndefined();
    supervisor.advance(at(1));
    await clock.run(10);
    newest().emit('error', Object.assign(new Error('spawn EMFILE'), { code: 'EMFILE' }));
    await clock.run(5000);
    expect(lost).toEqual(['SIGKILL', expect.stringContaining('EMFILE')]);
    expect(workers).toHaveLength(3);
    expect(newest().received).toEqual([expect.objectContaining({ type: 'start', watermark: at(1) })]);
  });

  it('passes reports on, and ignores those of a worker that is gone', async () => {
    const { supervisor, newest, listener, clock } = setUp();
    supervisor.start(at(9), listener);
    const first = newest();
    first.says(report(5));
    first.emit('close', null, 'SIGKILL');
    first.says(report(7));
    await clock.run(1000);
    newest().says(report(6));
    expect(listener.appliedSeqs).toEqual([5, 6]);
  });

  it.each([
    ['another history', new RepositoryError('HISTORY_MISMATCH', 'both positions'), RepositoryError, 'both positions'],
    ['damage', new EventLogCorruptError('events-1.log', 77, 'checksum.'), EventLogCorruptError, 'events-1.log, byte 77: checksum.'],
    ['a newer writer', new Error('generation 3 writes now'), RepositoryError, 'generation 3 writes now'],
  ])('starts no other worker after one found %s, and says why', async (_, error, type, message) => {
    const { supervisor, workers, newest, listener, clock } = setUp();
    supervisor.start(at(9), listener);
    newest().says(structuredClone(describeHalt(error)));
    newest().emit('close', 0, null);
    await clock.run(100_000);
    expect(workers).toHaveLength(1);
    expect(listener.haltedWith).toBeInstanceOf(type);
    expect(listener.haltedWith?.message).toBe(message);
  });

  it('asks the worker to stop, and waits for it', async () => {
    const { supervisor, newest, workers, listener, clock } = setUp();
    supervisor.start(at(9), listener);
    let isStopped = false;
    const stopping = supervisor.stop(5000).then(() => (isStopped = true));
    await settle();
    expect([newest().types(), isStopped]).toEqual([['start', 'stop'], false]);
    newest().says(report(9));
    newest().emit('close', 0, null);
    await stopping;
    await clock.run(100_000);
    expect([workers.length, newest().kills.length, listener.appliedSeqs, clock.timers]).toEqual([1, 0, [9], 0]);
  });

  it('kills a worker that does not stop in time', async () => {
    const { supervisor, newest, listener, clock } = setUp();
    supervisor.start(at(9), listener);
    const stopping = supervisor.stop(5000);
    await clock.run(4999);
    expect(newest().kills).toEqual([]);
    await clock.run(1);
    expect(newest().kills).toEqual(['SIGKILL']);
    await stopping;
    await supervisor.stop(5000);
  });

  it('starts nothing any more when it is stopped between two workers', async () => {
    const { supervisor, workers, newest, listener, clock } = setUp();
    supervisor.start(at(9), listener);
    newest().emit('close', 1, null);
    await supervisor.stop(5000);
    await clock.run(100_000);
    expect([workers.length, clock.timers]).toEqual([1, 0]);
  });
});
