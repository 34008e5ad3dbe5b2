import { describe, expect, it } from '@jest/globals';
import { EventLogCorruptError } from '../../../lib/errors/storage.errors.js';
import { LogCursorFile } from '../../../lib/engines/local/wal/cursor-file.js';
import { SegmentTail } from '../../../lib/engines/local/wal/segment-tail.js';
import { draft, logFixture, type LogFixture } from '../../support/disk/event-log-fixture.js';
import { FakeClock, seededRandom } from '../../support/clock/fake-clock.js';
import { LOG_PATH } from '../../support/disk/log-workload.js';
import { SimulatedDisk } from '../../support/disk/simulated-disk.js';
import { SEED } from '../../support/clock/seed.js';

const ALL = { maxEntries: 1_000_000 };
const seqsOf = (frames: readonly { entries: readonly { seq: number }[] }[]): number[] =>
  frames.flatMap((frame) => frame.entries.map((entry) => entry.seq));
const range = (from: number, to: number): number[] => Array.from({ length: to - from + 1 }, (_, i) => from + i);

async function log(maxSizeBytesPerFile: number): Promise<{ disk: SimulatedDisk; fixture: LogFixture; tail: SegmentTail }> {
  const disk = new SimulatedDisk();
  const fixture = logFixture(LOG_PATH, { maxSizeBytesPerFile, retentionCount: 0 }, disk, new FakeClock());
  await fixture.open();
  return { disk, fixture, tail: new SegmentTail(disk, LOG_PATH) };
}

describe('SegmentTail', () => {
  it('follows the log through its files, reading each frame once', async () => {
    const { disk, fixture, tail } = await log(900);
    let next = 1;
    for (let i = 1; i <= 40; i++) {
      await fixture.append(draft(), draft());
      if (i % 3 !== 0) continue;
      const found = seqsOf(await tail.frames(next, fixture.log.watermark(), ALL));
      expect(found).toEqual(range(next, i * 2));
      next = i * 2 + 1;
      expect(await tail.frames(next, fixture.log.watermark(), ALL)).toEqual([]);
    }
    expect(fixture.log.segments).toBeGreaterThan(5);
    await tail.close();
    await fixture.log.close();
    expect(disk.openDescriptors).toBe(0);
  });

  it('reads no byte past the watermark', async () => {
    const { disk, fixture, tail } = await log(100_000);
    await fixture.append(draft());
    const early = fixture.log.watermark();
    await fixture.append(draft());
    const reads: number[] = [];
    const read = disk.read.bind(disk);
    disk.read = async (fd, buffer, offset, length, position) => {
      reads.push(position + length);
      return read(fd, buffer, offset, length, position);
    };
    expect(seqsOf(await tail.frames(1, early, ALL))).toEqual([1]);
    expect(reads.length).toBeGreaterThan(0);
    expect(Math.max(...reads)).toBeLessThanOrEqual(early.byteOffset);
    disk.read = read;
    expect(seqsOf(await tail.frames(2, fixture.log.watermark(), ALL))).toEqual([2]);
  });

  it('starts in the middle of a frame, stops after enough entries, and starts over where it is told to', async () => {
    const { fixture, tail } = await log(900);
    for (let i = 0; i < 10; i++) await fixture.append(draft(), draft(), draft());
    const mark = fixture.log.watermark();
    const frames = await tail.frames(5, mark, { maxEntries: 4 });
    expect(seqsOf(frames)).toEqual([5, 6, 7, 8, 9]);
    expect(frames[0]).toMatchObject({ firstSeq: 4, lastSeq: 6, gen: 1, crc: (await fixture.log.frameCrc(5))!.crc });
    expect(seqsOf(await tail.frames(10, mark, ALL))).toEqual(range(10, 30));
    expect(seqsOf(await tail.frames(2, mark, ALL))).toEqual(range(2, 30));
  });

  it('sent back, as each retry of a flush does, reads little more than what it is asked for, in this segment and in the one before', async () => {
    const { disk, fixture, tail } = await log(2_000_000);
    const body = JSON.stringify({ payload: 'x'.repeat(16_000) });
    for (let i = 0; i < 200; i++) await fixture.append(draft({ body }));
    const mark = fixture.log.watermark();
    expect(fixture.log.segments).toBe(2);
    const whole = await tail.frames(1, mark, ALL);
    expect(seqsOf(whole)).toEqual(range(1, 200));

    let bytes = 0;
    const read = disk.read.bind(disk);
    disk.read = async (...args) => {
      const got = await read(...args);
      bytes += got;
      return got;
    };
    for (const back of [199, 150, 100, 199, 120, 100]) {
      bytes = 0;
      expect(await tail.frames(back, mark, { maxEntries: 1 })).toEqual([whole[back - 1]]);
      expect(bytes).toBeGreaterThan(16_000);
      expect(bytes).toBeLessThan(700_000); // to the place before it, and a chunk beyond
    }
    expect(seqsOf(await tail.frames(101, mark, ALL))).toEqual(range(101, 200));
    await tail.close();
    await fixture.log.close();
    expect(disk.openDescriptors).toBe(0);
  });

  it('sent back to what was damaged since, says so', async () => {
    const { disk, fixture, tail } = await log(100_000);
    for (let i = 0; i < 5; i++) await fixture.append(draft());
    const mark = fixture.log.watermark();
    expect(seqsOf(await tail.frames(1, mark, ALL))).toEqual(range(1, 5));
    const path = '/data/log/events-0000000000000001.log';
    const damaged = disk.content(path);
    damaged[damaged.length - 30]! ^= 1;
    disk.put(path, damaged);
    await expect(tail.frames(5, mark, ALL)).rejects.toThrow(EventLogCorruptError);
  });

  it('goes on over a restart of the log', async () => {
    const { disk, fixture, tail } = await log(100_000);
    await fixture.append(draft());
    expect(seqsOf(await tail.frames(1, fixture.log.watermark(), ALL))).toEqual([1]);
    await fixture.append(draft());
    await fixture.log.close();
    const second = logFixture(LOG_PATH, {}, disk, new FakeClock(), 2);
    await second.open();
    await second.append(draft());
    const frames = await tail.frames(2, second.log.watermark(), ALL);
    expect(frames.map((frame) => [frame.firstSeq, frame.gen])).toEqual([
      [2, 1],
      [3, 2],
    ]);
  });

  it('never jumps over what is gone or damaged', async () => {
    const { disk, fixture, tail } = await log(1);
    for (let i = 0; i < 5; i++) await fixture.append(draft());
    fixture.log.applied(3);
    await fixture.log.retain(async () => 3);
    await expect(tail.frames(1, fixture.log.watermark(), ALL)).rejects.toThrow(/no longer on disk; the log begins with entry 3/);
    const path = '/data/log/events-0000000000000004.log';
    const damaged = disk.content(path);
    damaged[damaged.length - 30]! ^= 1;
    disk.put(path, damaged);
    await expect(tail.frames(3, fixture.log.watermark(), ALL)).rejects.toThrow(EventLogCorruptError);
  });
});

describe('the cursor file of a custom repository', () => {
  const cursor = { logId: 'l', gen: 1, appliedSeq: 7, appliedCrc: '0badcafe', ownerGen: 1 };

  it('gives back what was written last, beside the log', async () => {
    const { disk } = await log(900);
    const file = new LogCursorFile(disk, LOG_PATH);
    expect(await file.read()).toBeNull();
    await file.write(cursor);
    await file.write({ ...cursor, appliedSeq: 8 });
    expect(await new LogCursorFile(disk, LOG_PATH).read()).toEqual({ ...cursor, appliedSeq: 8 });
    expect(disk.paths()).toContain('/data/log/flush-cursor.json');
    for (const unfit of ['', '{"appliedSeq":', '{}', 'null', '{"logId":"l","gen":1,"appliedSeq":null,"appliedCrc":"0badcafe"}']) {
      disk.put('/data/log/flush-cursor.json', Buffer.from(unfit));
      await expect(file.read()).rejects.toThrow(EventLogCorruptError);
    }
  });

  it('is one for each log of a folder; one that was written under the common name is still found', async () => {
    const { disk } = await log(900);
    const [mail, jobs] = ['mail', 'jobs'].map((name) => new LogCursorFile(disk, `/data/log/${name}.log`));
    await mail!.write({ ...cursor, logId: 'mail' });
    await jobs!.write({ ...cursor, logId: 'jobs' });
    expect((await mail!.read())?.logId).toBe('mail');
    expect((await jobs!.read())?.logId).toBe('jobs');
    disk.put('/data/log/flush-cursor.json', Buffer.from(JSON.stringify(cursor)));
    expect(await new LogCursorFile(disk, '/data/log/old.log').read()).toEqual(cursor);
    expect((await mail!.read())?.logId).toBe('mail');
  });

  it('is written while the log is held, and never after: a write under way is waited for', async () => {
    const { disk, fixture } = await log(900);
    const file = new LogCursorFile(disk, LOG_PATH, fixture.log.whileHeld);
    await file.write(cursor);
    const written = file.write({ ...cursor, appliedSeq: 8 });
    await Promise.resolve();
    await Promise.resolve();
    await fixture.log.close();
    await written;
    await expect(file.write({ ...cursor, appliedSeq: 9 })).rejects.toMatchObject({ name: 'EventLogError', state: 'closed' });
    expect(await file.read()).toEqual({ ...cursor, appliedSeq: 8 });
  });

  it('is the old one or the new one wherever the power fails, and the new one once the write resolved', async () => {
    const random = seededRandom(SEED);
    let crashes = 0;
    for (let n = 1; ; n++) {
      const { disk } = await log(900);
      const file = new LogCursorFile(disk, LOG_PATH);
      await file.write(cursor);
      disk.crashAt = disk.operations.length + n;
      const isWritten = await file.write({ ...cursor, appliedSeq: 8 }).then(
        () => true,
        () => false,
      );
      for (const mode of ['drop', 'keep', 'drop-data', 'drop-names'] as const) {
        const found = await new LogCursorFile(disk.afterCrash(mode, random), LOG_PATH).read();
        expect(isWritten ? [8] : [7, 8]).toContain(found?.appliedSeq);
        crashes++;
      }
      if (!disk.isDown) break;
    }
    expect(crashes).toBeGreaterThan(30);
  });
});
