import { describe, expect, it } from '@jest/globals';
import { createParser } from 'eventsource-parser';
import { EventTooLong, type SseMessage, sseParser } from '../../../lib/client/sse-parser.js';
import { seededRandom } from '../../support/clock/fake-clock.js';
import { SEED } from '../../support/clock/seed.js';

const ROOM = 1_000_000;

function parsed(pieces: readonly string[], maxLength = ROOM): (SseMessage | number)[] {
  const seen: (SseMessage | number)[] = [];
  const take = sseParser({ onMessage: (message) => seen.push(message), onRetry: (ms) => seen.push(ms) }, maxLength);
  for (const piece of pieces) take(piece);
  return seen;
}
const message = (data: string | undefined, id = '', name = ''): SseMessage => ({ data, id, name });

/** Decoded as the client decodes, from bytes cut in two at each place. */
function cutEverywhere(text: string): (SseMessage | number)[][] {
  const bytes = new TextEncoder().encode(text);
  return Array.from({ length: bytes.length + 1 }, (_, at) => {
    const decoder = new TextDecoder();
    return parsed([decoder.decode(bytes.subarray(0, at), { stream: true }), decoder.decode(bytes.subarray(at), { stream: true })]);
  });
}

describe('The parser', () => {
  it.each<[string, string, (SseMessage | number)[]]>([
    ['lines that end in LF, CR and CRLF, mixed', 'data: a\rdata: b\r\ndata: c\n\r\n', [message('a\nb\nc')]],
    ['CR LF CR LF as one empty line, not two', 'id: 1\r\ndata: a\r\n\r\ndata: b\r\n\r\n', [message('a', '1'), message('b', '1')]],
    ['a byte order mark at the start only', '\uFEFFdata: a\n\n\uFEFFdata: b\n\n', [message('a')]],
    ['an id with NUL as no id', 'id: 1\ndata: a\n\nid: 2\0\ndata: b\n\n', [message('a', '1'), message('b', '1')]],
    ['an empty id as one', 'id: 1\ndata: a\n\nid\ndata: b\n\n', [message('a', '1'), message('b', '')]],
    [
      'U+2028, U+2029, U+0085 and the vertical tab as text',
      'data: a\u2028b\u2029c\u0085d\u000be\n\n',
      [message('a\u2028b\u2029c\u0085d\u000be')],
    ],
    ['one blank after the colon as none', 'data:a\ndata:  b\ndata: c \n\n', [message('a\n b\nc ')]],
    ['a field without a colon as empty', 'data\ndata\n\ndata\n\n', [message('\n'), message('')]],
    ['an id without data as one that is known from then on', 'id: 7\n\ndata: a\n\n', [message(undefined, '7'), message('a', '7')]],
    ['retry in digits only', 'retry: 10\nretry: 1e3\nretry: -1\nretry\nretry: 5 \n\n', [10, message(undefined)]],
    ['comments, unknown fields, and empty lines as nothing', ': keep-alive\n\n\n\nfoo: bar\n:\n\ndata: a\n\n', [message('a')]],
    ['names of their own message only', 'event: x\ndata: a\n\ndata: b\n\n', [message('a', '', 'x'), message('b')]],
    ['a message that no empty line ended as none', 'data: a\n\nid: 9\ndata: b\n', [message('a')]],
    ['characters of up to four bytes', 'data: ü€🚀\nid: 🚀\n\n', [message('ü€🚀', '🚀')]],
  ])('takes %s, wherever the bytes are cut', (_what, text, expected) => {
    for (const seen of cutEverywhere(text)) expect(seen).toEqual(expected);
  });

  it('agrees with an independent parser on streams of chance, in pieces of chance', () => {
    const random = seededRandom(SEED);
    const pick = <T>(from: readonly T[]): T => from[Math.floor(random() * from.length)]!;
    const PARTS = [
      'data',
      'id',
      'event',
      ':',
      ': ',
      ' ',
      'x',
      '1',
      'ü',
      '\u2028',
      '🚀',
      '\n',
      '\n',
      '\n\n',
      '\r\n',
      '\r',
      'data: a\n',
      'id: 2\n',
      'event: e\n',
      'data:',
    ];
    for (let round = 0; round < 2_000; round++) {
      // It waits behind a CR for what follows, so something does.
      const pieces = [...Array.from({ length: 1 + Math.floor(random() * 30) }, () => pick(PARTS)), ':'];
      const theirs: unknown[] = [];
      let lastId = '';
      const parser = createParser({
        onEvent: ({ id, event, data }) => {
          if (id !== undefined) lastId = id;
          theirs.push({ id: lastId, name: event ?? '', data });
        },
      });
      parser.feed(pieces.join(''));
      const ours = parsed(pieces).filter((seen) => typeof seen === 'object' && seen.data !== undefined);
      // It keeps to itself an id that came without data; what it shows of the rest is the same.
      const withoutId = (seen: unknown): unknown => ({ ...(seen as object), id: undefined });
      expect({ seed: SEED, pieces, seen: ours.map(withoutId) }).toEqual({ seed: SEED, pieces, seen: theirs.map(withoutId) });
    }
  });

  it('refuses a message that is longer than it may be, whether in one line or in many, and no shorter one', () => {
    const line = 'x'.repeat(60);
    expect(() => parsed(['data: ', line, line], 100)).toThrow(EventTooLong);
    expect(() => parsed([`data: ${line}\n`, `data: ${line}\n`], 100)).toThrow(EventTooLong);
    expect(parsed([`data: ${line}\n\ndata: ${line}\n\n`, `data: ${line}\n\n`], 100)).toHaveLength(3);
  });
});
