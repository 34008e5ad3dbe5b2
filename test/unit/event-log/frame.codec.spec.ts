import { describe, expect, it } from '@jest/globals';
import type { LogDraft } from '../../../lib/contracts/event-log.interface.js';
import { taskId } from '../../../lib/contracts/ids.js';
import { bodyFault, decodeLine, lineBytesAtMost, linesOf, lineStamp, writeLine } from '../../../lib/engines/local/wal/entry.codec.js';
import { FrameBuilder } from '../../../lib/engines/local/wal/frame-builder.js';
import {
  crcOfFrameLine,
  decodeSeal,
  decodeSegmentHeader,
  encodeSeal,
  encodeSegmentHeader,
  parseFrameMark,
} from '../../../lib/engines/local/wal/frame.codec.js';

const header = { v: 1, logId: '01890000-0000-7000-8000-000000000001', gen: 7, first: 42, prev: '9ae0daaf' };
const draft = { type: 'progress' as const, taskId: taskId('t"\u{1F600}'), taskSeq: 3, attempt: 1, fence: 2, body: '{"payload":"ö"}' };

function lineOf(entry: LogDraft, seq: number, at: number, owner: string): string {
  const buffer = Buffer.alloc(4096);
  return buffer.toString('utf8', 7, 7 + writeLine(buffer, 7, entry, seq, lineStamp(at, owner)));
}

// The checksums were computed by another implementation (Python's zlib).
describe('the format of the event log', () => {
  it('is fixed: these bytes are read by every later release', () => {
    const { line, salt } = encodeSegmentHeader(header);
    expect(line).toBe('#H {"v":1,"logId":"01890000-0000-7000-8000-000000000001","gen":7,"first":42,"prev":"9ae0daaf"} 5ade7a52\n');
    const frame = new FrameBuilder().build([{ drafts: [draft] }], lineBytesAtMost(draft), {
      gen: 7,
      firstSeq: 42,
      at: 1_760_000_000_000,
      owner: '7-abc',
      prev: '9ae0daaf',
      salt,
      position: line.length,
    });
    expect(frame.bytes.toString()).toBe(
      '#B 7 42 1 108 9ae0daaf 8f14b391\n{"s":42,"e":"progress","t":"t\\"\u{1F600}","q":3,"at":1760000000000,"a":1,"f":2,"o":"7-abc","d":{"payload":"ö"}}\n',
    );
    expect(encodeSeal(42, 1, frame.crc, salt).line).toBe('#S 42 1 8f14b391 1e8dd7d9\n');
  });

  it('gives back the header that was written, with its gap', () => {
    const { line, salt } = encodeSegmentHeader({ ...header, gap: [40, 41] });
    expect(decodeSegmentHeader(line.trimEnd())).toEqual({ header: { ...header, gap: [40, 41] }, salt });
  });

  it('salts seals and frames with the header, so that those of another segment do not pass', () => {
    const { line } = encodeSeal(42, 1, '00000000', 5);
    expect(decodeSeal(line.trimEnd(), 5)).toMatchObject({ lastSeq: 42, count: 1 });
    expect(decodeSeal(line.trimEnd(), 6)).toBeNull();
  });

  it('says where each line lies, in bytes', () => {
    const drafts = [draft, { ...draft, body: '' }, { ...draft, body: '"x"' }];
    const frame = new FrameBuilder().build([{ drafts: drafts.slice(0, 1) }, { drafts: drafts.slice(1) }], 2048, {
      gen: 1,
      firstSeq: 9,
      at: 5,
      owner: 'o',
      prev: '00000000',
      salt: 1,
      position: 1000,
    });
    expect(frame).toMatchObject({ firstSeq: 9, lastSeq: 11, count: 3 });
    const entries = frame.offsets.map((offset, i) =>
      decodeLine(frame.bytes.toString('utf8', offset - 1000, offset - 1000 + frame.lengths[i]!)),
    );
    expect(entries.map((entry) => [entry.seq, entry.data])).toEqual([
      [9, { payload: 'ö' }],
      [10, {}],
      [11, 'x'],
    ]);
    const markEnd = frame.bytes.indexOf('\n');
    const mark = frame.bytes.toString('latin1', 0, markEnd);
    const body = frame.bytes.subarray(markEnd + 1);
    expect(parseFrameMark(mark)).toMatchObject({ gen: 1, firstSeq: 9, count: 3, bodyBytes: body.length });
    expect(crcOfFrameLine(mark, body, 1)).toBe(frame.crc);
    expect(crcOfFrameLine(mark, body, 2)).not.toBe(frame.crc);
    expect(linesOf(body, 1000 + markEnd + 1)).toEqual({ offsets: frame.offsets, lengths: frame.lengths });
    expect(bodyFault(body, 9, 3)).toBeNull();
    expect(bodyFault(body, 9, 2)).toContain('more than');
    expect(bodyFault(body, 9, 4)).toContain('entry 12 is missing');
    expect(bodyFault(body, 8, 3)).toContain('entry 8');
  });

  it('leaves out what an entry does not have', () => {
    expect(lineOf({ ...draft, taskId: taskId('t'), type: 'heartbeat', taskSeq: undefined, body: '' }, 1, 2, 'o')).toBe(
      '{"s":1,"e":"heartbeat","t":"t","at":2,"a":1,"f":2,"o":"o"}\n',
    );
  });

  it('never takes more bytes than it estimates', () => {
    for (const id of ['a', '"'.repeat(50), '\u0001'.repeat(50), '\u{1F600}'.repeat(30)]) {
      const each = {
        ...draft,
        type: 'dlq-removed' as const,
        taskId: taskId(id),
        taskSeq: Number.MAX_SAFE_INTEGER,
        attempt: Number.MAX_SAFE_INTEGER,
        fence: Number.MAX_SAFE_INTEGER,
        body: '"\u{1F600}"',
      };
      expect(
        Buffer.byteLength(lineOf(each, Number.MAX_SAFE_INTEGER, Number.MAX_SAFE_INTEGER, `${Number.MAX_SAFE_INTEGER}-ffffffff`)),
      ).toBeLessThanOrEqual(lineBytesAtMost(each));
    }
  });
});
