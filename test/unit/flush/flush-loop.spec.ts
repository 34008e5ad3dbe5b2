import { afterEach, describe, expect, it } from '@jest/globals';
import { EventLogCorruptError, RepositoryError } from '../../../lib/errors/storage.errors.js';
import { FlushLoop } from '../../../lib/engines/local/projection/flush-loop.js';
import type { FlushLoopOptions } from '../../../lib/engines/local/projection/flusher.interface.js';
import { CursorMovedError, FencedWriterError } from '../../../lib/engines/local/storage/flush.errors.js';
import { FakeClock, FakeIdSource, settle } from '../../support/clock/fake-clock.js';
import { down, LOG_ID, loopOptions, MemoryLog, MemoryProjector, oneToN, RecordedReports } from './flush-doubles.js';

const loops: FlushLoop[] = [];

function setUp(changes: Partial<FlushLoopOptions> = {}, log = new MemoryLog()) {
  const clock = new FakeClock();
  const projector = new MemoryProjector();
  const listener = new RecordedReports();
  const loop = new FlushLoop(loopOptions(changes), { source: log, projector, clock, ids: new FakeIdSource(), listener });
  loops.push(loop);
  return { clock, log, projector, listener, loop };
}

afterEach(async () => {
  await Promise.all(loops.splice(0).map((loop) => loop.stop()));
});

describe('FlushLoop, batches', () => {
  it('applies an entry at most flushIntervalMs after it became durable', async () => {
    const { clock, log, projector, loop } = setUp();
    loop.start(log.append(1));
    await clock.run(999);
    expect(projector.rows).toEqual([]);
    await clock.run(1);
    expect(projector.rows).toEqual([1]);
  });

  it('counts the interval from the first waiting entry, however many follow', async () => {
    const { clock, log, projector, loop } = setUp();
    loop.start(log.append(1));
    for (let round = 0; round < 9; round++) {
      await clock.run(110);
      loop.advance(log.append(1));
    }
    await clock.run(10);
    expect(projector.batches).toEqual([10]);
  });

  it('applies a full batch at once', async () => {
    const { log, projector, loop } = setUp();
    loop.start(log.append(4, 4));
    await settle();
    expect(projector.batches).toEqual([]);
    loop.advance(log.append(2));
    await settle();
    expect(projector.batches).toEqual([10]);
  });

  it('applies a backlog batch by batch without pause, each ending with a frame', async () => {
    const { log, projector, listener, loop } = setUp();
    loop.start(log.append(6, 6, 3, 25, 1, 9));
    await settle();
    expect(projector.batches).toEqual([6, 9, 25, 10]);
    expect(listener.appliedSeqs).toEqual([6, 15, 40, 50]);
    expect(projector.rows).toEqual(oneToN(50));
  });

  it('names the last frame of the batch in the cursor', async () => {
    const { log, projector, loop } = setUp({ ownerGen: 7 });
    loop.start(log.append(6, 4));
    await settle();
    expect(projector.stored).toEqual({ logId: LOG_ID, gen: 1, appliedSeq: 10, appliedCrc: log.stored[1]?.crc, ownerGen: 7 });
  });

  it('applies everything durable at once on demand', async () => {
    const { log, projector, loop } = setUp();
    loop.start(log.append(1));
    await settle();
    loop.flushNow(log.append(2));
    await settle();
    expect(projector.rows).toEqual([1, 2, 3]);
  });

  it('reads nothing behind the watermark', async () => {
    const { log, projector, loop } = setUp();
    const known = log.append(10);
    log.append(10);
    loop.start(known);
    await settle();
    expect(projector.rows).toEqual(oneToN(10));
    expect(Math.max(...log.readsUpTo)).toBe(10);
  });

  it('goes on behind the stored cursor, and reports it first', async () => {
    const { log, projector, listener, loop } = setUp();
    log.append(5, 5, 10);
    projector.stored = { logId: LOG_ID, gen: 1, appliedSeq: 5, appliedCrc: log.stored[0]?.crc ?? '', ownerGen: 1 };
    loop.start(log.watermark);
    await settle();
    expect(listener.appliedSeqs).toEqual([5, 10, 20]);
    expect(projector.rows).toEqual(oneToN(20).slice(5));
  });

  it('passes quarantine counts on, and goes on behind them', async () => {
    const { log, projector, listener, loop } = setUp();
    projector.quarantinedNext = 3;
    loop.start(log.append(10, 10));
    await settle();
    expect(listener.quarantinedTotal).toBe(3);
    expect(projector.rows).toEqual(oneToN(20));
  });

  it('closes source and projector at the stop, and holds no timer then', async () => {
    const { clock, log, projector, loop } = setUp();
    loop.start(log.append(1));
    await settle();
    await loop.stop();
    expect([log.isClosed, projector.isClosed, clock.timers]).toEqual([true, true, 0]);
  });
});

describe('FlushLoop, faults', () => {
  it('opens the breaker at the threshold, probes, and catches up without loss or repetition', async () => {
    const { clock, log, projector, listener, loop } = setUp();
    projector.faults.push(down(), down(), down(), down());
    loop.start(log.append(10, 10));
    await clock.run(60_000);
    expect(projector.faultsFired).toBe(4);
    expect(listener.states).toEqual(['closed', 'open', 'half-open', 'open', 'half-open', 'closed']);
    expect(listener.reasons.at(-1)).toBeUndefined();
    expect(projector.rows).toEqual(oneToN(20));
  });

  it('waits longer after each failure, never longer than the maximum, and never not at all', async () => {
    const { clock, log, projector, loop } = setUp({ circuitBreakerDurationMs: 2000 });
    for (let fault = 0; fault < 12; fault++) projector.cursorFaults.push(down());
    const attempts: number[] = [];
    const read = projector.cursor.bind(projector);
    projector.cursor = () => {
      attempts.push(clock.monotonic());
      return read();
    };
    loop.start(log.append(1));
    await clock.run(60_000);
    const waits = attempts.slice(1, 13).map((at, index) => at - (attempts[index] ?? 0));
    expect(projector.faultsFired).toBe(12);
    waits.forEach((wait, index) => {
      const full = Math.min(2000, 100 * 2 ** index);
      expect(wait).toBeGreaterThanOrEqual(full / 2);
      expect(wait).toBeLessThanOrEqual(full);
    });
  });

  it('does not hammer a dead database when entries keep coming', async () => {
    const { clock, log, projector, loop } = setUp();
    for (let fault = 0; fault < 1000; fault++) projector.cursorFaults.push(down());
    loop.start(log.append(1));
    for (let frame = 0; frame < 1000; frame++) {
      loop.advance(log.append(1));
      await clock.run(10);
    }
    expect(projector.faultsFired).toBeGreaterThan(3);
    expect(projector.faultsFired).toBeLessThan(12);
  });

  it('probes at once on demand while the breaker is open, so that a shutdown need not wait for it', async () => {
    const { clock, log, projector, loop } = setUp();
    projector.cursorFaults.push(...Array.from({ length: 9 }, down));
    loop.start(log.append(1));
    await clock.run(13_000);
    const before = projector.faultsFired;
    projector.cursorFaults.length = 0;
    expect(before).toBeGreaterThan(6);
    loop.flushNow(log.watermark);
    await settle();
    expect(projector.rows).toEqual([1]);
  });

  it('applies a batch once though the answer to its commit was lost', async () => {
    const { clock, log, projector, listener, loop } = setUp();
    projector.losesAnswer = true;
    loop.start(log.append(10));
    await clock.run(1000);
    expect(projector.faultsFired).toBe(1);
    expect(projector.rows).toEqual(oneToN(10));
    expect(listener.appliedSeqs).toEqual([10]);
  });

  it('reads a moved cursor again and goes on from there at once', async () => {
    const { log, projector, listener, loop } = setUp();
    projector.faults.push(new CursorMovedError(LOG_ID, null, null));
    loop.start(log.append(10));
    await settle();
    expect([projector.faultsFired, projector.cursorReads]).toEqual([1, 2]);
    expect(projector.rows).toEqual(oneToN(10));
    expect(listener.states).toEqual([]);
  });

  it('does not spin when the cursor moves again and again', async () => {
    const { clock, log, projector, loop } = setUp();
    for (let fault = 0; fault < 1000; fault++) projector.faults.push(new CursorMovedError(LOG_ID, null, null));
    loop.start(log.append(10));
    await clock.run(10_000);
    expect(projector.faultsFired).toBeGreaterThan(2);
    expect(projector.faultsFired).toBeLessThan(15);
  });

  it('ends for good when a newer process of this log has written', async () => {
    const { clock, log, projector, listener, loop } = setUp();
    projector.faults.push(new FencedWriterError(LOG_ID, 1, 2));
    loop.start(log.append(10));
    await clock.run(60_000);
    expect(projector.faultsFired).toBe(1);
    expect(listener.haltedWith).toBeInstanceOf(FencedWriterError);
    expect([projector.cursorReads, projector.isClosed]).toEqual([1, true]);
  });

  it('ends before it writes when a newer process holds the cursor', async () => {
    const { log, projector, listener, loop } = setUp();
    log.append(10);
    projector.stored = { logId: LOG_ID, gen: 1, appliedSeq: 10, appliedCrc: log.stored[0]?.crc ?? '', ownerGen: 9 };
    loop.start(log.append(10));
    await settle();
    expect(listener.haltedWith).toBeInstanceOf(FencedWriterError);
    expect(projector.rows).toEqual([]);
  });

  it('ends for good when the database has less than it was known to have: it was replaced under the running system', async () => {
    const { clock, log, projector, listener, loop } = setUp();
    loop.start(log.append(10));
    await settle();
    expect(projector.rows).toHaveLength(10);
    projector.stored = null;
    projector.faults.push(down());
    loop.advance(log.append(10));
    await clock.run(60_000);
    expect(projector.faultsFired).toBe(1);
    expect(RepositoryError.is(listener.haltedWith) && listener.haltedWith.code).toBe('HISTORY_MISMATCH');
    expect(listener.haltedWith?.message).toContain('up to entry 10, and now holds it up to entry 0');
    expect(projector.rows).toHaveLength(10);
  });

  it.each([
    ['another CRC at the cursor', { appliedSeq: 5, appliedCrc: 'deadbeef' }],
    ['a cursor behind the end of the log', { appliedSeq: 99, appliedCrc: 'deadbeef' }],
    ['a cursor inside a frame', { appliedSeq: 3, appliedCrc: 'abc00001' }],
  ])('ends for good, writing nothing, at %s', async (_, at) => {
    const { clock, log, projector, listener, loop } = setUp();
    projector.stored = { logId: LOG_ID, gen: 1, ownerGen: 1, ...at };
    loop.start(log.append(5, 10));
    await clock.run(5_000);
    expect(RepositoryError.is(listener.haltedWith) && listener.haltedWith.code).toBe('HISTORY_MISMATCH');
    expect(listener.haltedWith?.message).toContain('npx taskflow log repair ./.taskflow/events.log');
    expect(projector.rows).toEqual([]);
  });

  it('ends for good when the database holds nothing of a log that does not start at 1', async () => {
    const { clock, log, projector, listener, loop } = setUp({}, new MemoryLog(42));
    loop.start(log.append(10));
    await clock.run(5_000);
    expect(RepositoryError.is(listener.haltedWith) && listener.haltedWith.code).toBe('HISTORY_MISMATCH');
    expect(projector.rows).toEqual([]);
  });

  it('ends for good rather than skip an entry that is missing in the log', async () => {
    const { log, projector, listener, loop } = setUp();
    log.append(5, 5, 5);
    log.stored.splice(1, 1);
    loop.start(log.watermark);
    await settle();
    expect(EventLogCorruptError.is(listener.haltedWith)).toBe(true);
    expect(projector.rows).toEqual([]);
  });

  it('tries again, with pauses, when the log cannot be read up to the watermark', async () => {
    const { clock, log, projector, listener, loop } = setUp();
    log.append(10);
    loop.start({ ...log.watermark, seq: 12 });
    await clock.run(100_000);
    expect(listener.states).toContain('open');
    expect(log.readsUpTo.length).toBeLessThan(40);
    log.append(2);
    await clock.run(30_000);
    expect(projector.rows).toEqual(oneToN(12));
  });

  it('says of a driver error its name and code, never its text', async () => {
    const { clock, log, projector, listener, loop } = setUp();
    projector.faults.push(Object.assign(new Error("Duplicate entry 'secret@example.org'"), { code: 'ER_DUP_ENTRY' }));
    loop.start(log.append(10));
    await clock.run(1);
    expect(listener.reasons).toEqual(['Error (ER_DUP_ENTRY)']);
  });
});
