import { describe, expect, it } from '@jest/globals';
import { EventLogCorruptError } from '../../../lib/errors/storage.errors.js';
import { LogFolder } from '../../../lib/engines/local/wal/log-folder.js';
import { LogRepair } from '../../../lib/engines/local/wal/repair/log-repair.js';
import { surveyLog } from '../../../lib/engines/local/wal/repair/log-survey.js';
import { draft, logFixture, scanned } from '../../support/disk/event-log-fixture.js';
import { FakeClock } from '../../support/clock/fake-clock.js';
import { LOG_PATH } from '../../support/disk/log-workload.js';
import { SimulatedDisk } from '../../support/disk/simulated-disk.js';

const OPTIONS = { maxSizeBytesPerFile: 1300 };
const report = (text: string): void => void process.stdout.write(`event-log sweep: ${text}\n`);

interface Sample {
  readonly disk: SimulatedDisk;
  readonly files: string[];
  /** Ends of the frames in the last file, ascending. */
  readonly frameEnds: number[];
  /** Last sequence at each of them. */
  readonly frameSeqs: number[];
  readonly headerBytes: number;
  readonly lastSeq: number;
  readonly sealAt: number | null;
}

/** A log of several files, whose last one was closed properly or not. */
async function sample(isClosed: boolean): Promise<Sample> {
  const disk = new SimulatedDisk();
  const fixture = logFixture(LOG_PATH, OPTIONS, disk, new FakeClock());
  await fixture.open();
  for (let i = 1; i <= 7; i++)
    await fixture.append(...Array.from({ length: i % 2 === 0 ? 2 : 1 }, () => draft({ taskSeq: i, body: `{"payload":"#B ${i} ü"}` })));
  const { lastSeq } = fixture.sink.frames.at(-1)!;
  const inLast = fixture.sink.frames.filter((frame) => frame.segment === fixture.log.watermark().segment);
  const end = fixture.log.watermark().byteOffset;
  const headerBytes = end - inLast.reduce((sum, frame) => sum + frame.bytes, 0);
  const frameEnds = inLast.map((_, i) => headerBytes + inLast.slice(0, i + 1).reduce((sum, frame) => sum + frame.bytes, 0));
  const copy = disk.clone();
  await fixture.log.close();
  const kept = isClosed ? disk.clone() : copy;
  const files = kept.paths().filter((path) => /events-\d+\.log$/.test(path));
  return {
    disk: kept,
    files,
    frameEnds,
    frameSeqs: inLast.map((frame) => frame.lastSeq),
    headerBytes,
    lastSeq,
    sealAt: isClosed ? end : null,
  };
}

/** The last sequence found, or 'corrupt'. */
async function outcome(disk: SimulatedDisk): Promise<number | 'corrupt'> {
  const fixture = logFixture(LOG_PATH, OPTIONS, disk, new FakeClock(), 3);
  try {
    const { lastSeq } = await fixture.open();
    const entries = (await scanned(fixture.log)).flatMap((frame) => frame.entries);
    if (entries.some((entry, i) => entry.seq !== i + 1 || !/^#B \d ü$/.test((entry.data as { payload: string }).payload)))
      throw new Error('wrong entries');
    if (entries.length !== lastSeq) throw new Error('entries are missing');
    return lastSeq;
  } catch (error) {
    if (EventLogCorruptError.is(error)) return 'corrupt';
    throw error;
  } finally {
    await fixture.log.close();
  }
}

async function at<T>(where: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw new Error(`${where}: ${String(error)}`, { cause: error });
  }
}

/** What a repair leaves opens, with exactly the entries that it does not call lost. 0: no frame is proven, there is nothing to keep. */
async function repairAndOpen(disk: SimulatedDisk, log: Sample): Promise<0 | 1> {
  const folder = new LogFolder(disk, LOG_PATH);
  const survey = await surveyLog(disk, folder);
  if (survey.logId === null || survey.segments.every(({ frames }) => frames === 0)) return 0;
  const { plan } = await new LogRepair(disk, folder, survey, 0).apply(async () => undefined);
  const fixture = logFixture(LOG_PATH, OPTIONS, disk, new FakeClock(), 4);
  const { lastSeq } = await fixture.open();
  const first = plan.lost[0]?.[0] === 1 ? plan.lost[0][1] + 1 : 1;
  const entries = (await scanned(fixture.log, first)).flatMap((frame) => frame.entries);
  await fixture.log.close();
  const kept = Array.from({ length: lastSeq }, (_, n) => n + 1).filter((seq) => !plan.lost.some(([from, to]) => from <= seq && seq <= to));
  expect(entries.map(({ seq }) => seq)).toEqual(kept);
  expect(lastSeq).toBeLessThanOrEqual(log.lastSeq);
  if (entries.some(({ data }) => !/^#B \d ü$/.test((data as { payload: string }).payload))) throw new Error('wrong entries');
  return 1;
}

const SECTOR_BYTES = 512;
/** Finer, so that what is hit is often less than a frame. */
const BLOCK_BYTES = 64;

/** A file in which blocks were lost, doubled or exchanged, as firmware and copies by hand do. */
function* withBlocksMoved(whole: Buffer, blockBytes: number): Generator<{ readonly what: string; readonly bytes: Buffer }> {
  const blocks = Math.ceil(whole.length / blockBytes);
  const from = (n: number): Buffer => whole.subarray(n * blockBytes, Math.min(whole.length, (n + 1) * blockBytes));
  const put = (...changes: (readonly [number, Buffer])[]): Buffer => {
    const bytes = Buffer.from(whole);
    for (const [n, content] of changes) content.copy(bytes, n * blockBytes);
    return bytes;
  };
  for (let a = 0; a < blocks; a++) {
    yield { what: `block ${a} zeroed`, bytes: put([a, Buffer.alloc(from(a).length)]) };
    yield { what: `block ${a} gone`, bytes: Buffer.concat([whole.subarray(0, a * blockBytes), whole.subarray((a + 1) * blockBytes)]) };
    for (let b = 0; b < blocks; b++) {
      const there = from(b).subarray(0, from(a).length);
      if (a !== b) yield { what: `block ${b} in place of block ${a}`, bytes: put([a, there]) };
      if (a < b) yield { what: `blocks ${a} and ${b} exchanged`, bytes: put([a, there], [b, from(a).subarray(0, from(b).length)]) };
    }
  }
}

/** Frames and seal of a file, from and to which byte. */
function itemsOf(whole: Buffer): { readonly from: number; readonly to: number; readonly lastSeq: number; readonly isSeal: boolean }[] {
  const items = [];
  for (let from = whole.indexOf(10) + 1; from < whole.length;) {
    const lineEnd = whole.indexOf(10, from) + 1;
    const [mark, gen, first, count, bytes] = whole.toString('latin1', from, lineEnd).split(' ');
    const isSeal = mark === '#S';
    const to = lineEnd + (isSeal ? 0 : Number(bytes));
    items.push({ from, to, isSeal, lastSeq: isSeal ? Number(gen) : Number(first) + Number(count) - 1 });
    from = to;
  }
  return items;
}

/**
 * What changed bytes in the last file must lead to: refusal; or, where no whole frame is left behind the first of them, what stands before.
 * Frames that were moved are whole, too.
 */
function expectedOf(whole: Buffer, bytes: Buffer): number | 'corrupt' {
  const items = itemsOf(whole);
  const last = items.findLast(({ isSeal }) => !isSeal)!.lastSeq;
  const firstSeq = Number(/"first":(\d+)/.exec(whole.toString('latin1'))![1]);
  if (bytes.equals(whole)) return last;
  const at = [...whole].findIndex((byte, n) => bytes[n] !== byte);
  const changed = at === -1 ? whole.length : at;
  if (changed < items[0]!.from) return 'corrupt';
  const isLeft = items.some(({ from, to }) => bytes.indexOf(whole.subarray(from, to), changed) !== -1);
  const before = items.findLast(({ to, isSeal }) => to <= changed && !isSeal)?.lastSeq ?? firstSeq - 1;
  return isLeft ? 'corrupt' : before;
}

/** What a change at a byte of the last file must lead to: everything before the frame it hits, or refusal. */
function expected(log: Sample, byte: number): number | 'corrupt' {
  if (byte < log.headerBytes) return 'corrupt';
  if (log.sealAt !== null && byte >= log.sealAt) return log.lastSeq;
  const isInLastFrame = log.sealAt === null && byte >= (log.frameEnds.at(-2) ?? log.headerBytes);
  return isInLastFrame ? (log.frameSeqs.at(-2) ?? log.lastSeq) : 'corrupt';
}

describe('the event log with damaged files', () => {
  it('tells a torn end from damage, wherever the last file is cut', async () => {
    let cuts = 0;
    for (const isClosed of [false, true]) {
      const log = await sample(isClosed);
      expect(log.files.length).toBeGreaterThan(2);
      expect(log.frameEnds.length).toBeGreaterThan(1);
      const path = log.files.at(-1)!;
      const whole = log.disk.content(path);
      for (let length = 0; length <= whole.length; length++) {
        const disk = log.disk.clone();
        disk.put(path, whole.subarray(0, length));
        const before = log.frameEnds.findLastIndex((end) => end <= length);
        const firstSeq = Number(/(\d{16})/.exec(path)![1]);
        const want = length < log.headerBytes ? 'corrupt' : before === -1 ? firstSeq - 1 : log.frameSeqs[before]!;
        expect({ length, found: await outcome(disk) }).toEqual({ length, found: want });
        cuts++;
      }
    }
    report(`${cuts} truncations of the last file`);
  });

  it('refuses to open when a file that has successors is cut anywhere', async () => {
    const log = await sample(false);
    let cuts = 0;
    for (const path of log.files.slice(0, -1)) {
      const whole = log.disk.content(path);
      for (let length = 0; length < whole.length; length++) {
        const disk = log.disk.clone();
        disk.put(path, whole.subarray(0, length));
        expect({ path, length, found: await outcome(disk) }).toEqual({ path, length, found: 'corrupt' });
        cuts++;
      }
    }
    report(`${cuts} truncations of earlier files`);
  });

  it('finds every flipped bit; only one in the last frame of an unsealed file counts as torn', async () => {
    let flips = 0;
    for (const isClosed of [false, true]) {
      const log = await sample(isClosed);
      for (const path of isClosed ? log.files.slice(-1) : log.files) {
        const whole = log.disk.content(path);
        const isLast = path === log.files.at(-1);
        for (let bit = 0; bit < whole.length * 8; bit++) {
          const byte = bit >> 3;
          const flipped = Buffer.from(whole);
          flipped[byte]! ^= 1 << (bit & 7);
          const disk = log.disk.clone();
          disk.put(path, flipped);
          const want = isLast ? expected(log, byte) : 'corrupt';
          const found = await outcome(disk);
          if (found !== want) throw new Error(`${path} bit ${bit} (${isClosed ? 'sealed' : 'unsealed'}): ${found} instead of ${want}`);
          flips++;
        }
      }
    }
    report(`${flips} bit flips`);
  });

  it('refuses files whose sectors were lost, doubled or exchanged; only what has no whole frame behind it counts as torn', async () => {
    let [changes, torn, repaired] = [0, 0, 0];
    for (const isClosed of [false, true]) {
      const log = await sample(isClosed);
      for (const path of isClosed ? log.files.slice(-1) : log.files) {
        const whole = log.disk.content(path);
        const isLast = path === log.files.at(-1);
        for (const blockBytes of isLast ? [SECTOR_BYTES, BLOCK_BYTES] : [SECTOR_BYTES])
          for (const { what, bytes } of withBlocksMoved(whole, blockBytes)) {
            const disk = log.disk.clone();
            disk.put(path, bytes);
            const found = await outcome(disk);
            const want = isLast ? expectedOf(whole, bytes) : bytes.equals(whole) ? log.lastSeq : 'corrupt';
            const where = `${path}, ${what} (${blockBytes} bytes, ${isClosed ? 'sealed' : 'unsealed'})`;
            expect({ where, found }).toEqual({ where, found: want });
            changes++;
            if (found === 'corrupt') repaired += await at(where, () => repairAndOpen(disk, log));
            if (typeof found === 'number' && found < log.lastSeq) torn++;
          }
      }
    }
    report(
      `${changes} sectors lost, doubled or exchanged; ${torn} of them at the end, as a torn write; ${repaired} logs opened after a repair`,
    );
    expect(torn).toBeGreaterThan(10);
  });

  it('refuses frames that were lost, doubled or exchanged; only the last one of an unsealed file can be missed by nobody', async () => {
    let changes = 0;
    for (const isClosed of [false, true]) {
      const log = await sample(isClosed);
      for (const path of isClosed ? log.files.slice(-1) : log.files) {
        const whole = log.disk.content(path);
        const isLastOpen = path === log.files.at(-1) && !isClosed;
        const items = itemsOf(whole);
        const parts = items.map(({ from, to }) => whole.subarray(from, to));
        const fileOf = (order: readonly number[]): Buffer =>
          Buffer.concat([whole.subarray(0, items[0]!.from), ...order.map((n) => parts[n]!)]);
        const all = parts.map((_, n) => n);
        for (const a of all) {
          const isEnd = isLastOpen && a === parts.length - 1;
          const without = all.filter((n) => n !== a);
          const isMissed = isEnd || (path === log.files.at(-1) && isClosed && items[a]!.isSeal);
          const cases: [string, readonly number[], number | 'corrupt'][] = [
            [
              `item ${a} lost`,
              without,
              isMissed ? (items.findLast(({ isSeal }, n) => n < parts.length - (isEnd ? 1 : 0) && !isSeal)?.lastSeq ?? 0) : 'corrupt',
            ],
            [`item ${a} doubled`, [...all.slice(0, a + 1), a, ...all.slice(a + 1)], 'corrupt'],
          ];
          for (const b of all.slice(a + 1))
            cases.push([`items ${a} and ${b} exchanged`, all.map((n) => (n === a ? b : n === b ? a : n)), 'corrupt']);
          for (const [what, order, want] of cases) {
            const disk = log.disk.clone();
            disk.put(path, fileOf(order));
            const where = `${path}, ${what} (${isClosed ? 'sealed' : 'unsealed'})`;
            expect({ where, found: await outcome(disk) }).toEqual({ where, found: want });
            if (want === 'corrupt') await at(where, () => repairAndOpen(disk, log));
            changes++;
          }
        }
      }
    }
    report(`${changes} frames lost, doubled or exchanged`);
  });

  it('refuses an entry type and a format version that it does not know', async () => {
    const { encodeSegmentHeader, framePrefix, frameCrc } = await import('../../../lib/engines/local/wal/frame.codec.js');
    const write = async (v: number, type: string): Promise<string> => {
      const disk = new SimulatedDisk();
      await disk.mkdir('/data');
      await disk.mkdir('/data/log');
      const { line, salt } = encodeSegmentHeader({ v, logId: 'x', gen: 1, first: 1, prev: '00000000' });
      const body = Buffer.from(`{"s":1,"e":"${type}","t":"t","q":1,"at":1,"a":1,"f":0,"o":"o"}\n`);
      const prefix = framePrefix(1, 1, 1, body.length, '00000000');
      disk.put(
        '/data/log/events-0000000000000001.log',
        Buffer.concat([Buffer.from(`${line}${prefix}${frameCrc(prefix, body, salt)}\n`), body]),
      );
      return logFixture(LOG_PATH, OPTIONS, disk)
        .open()
        .then(
          () => 'opened',
          (error: Error) => error.message,
        );
    };
    expect(await write(1, 'created')).toBe('opened');
    expect(await write(1, 'evolved')).toContain('type "evolved"');
    expect(await write(2, 'created')).toContain('version 2');
  });
});
