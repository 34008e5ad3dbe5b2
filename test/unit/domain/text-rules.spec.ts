import { describe, expect, it } from '@jest/globals';
import { requireIdentifier } from '../../../lib/domain/owner.js';
import { nameIssue, requireText, storableText } from '../../../lib/domain/text-rules.js';

const UNFIT = ['a\0b', '\0', '\ud800', 'a\udfffb', '\ud83d\ud83d\ude00', 'bell\u0007', '\u0085'];
const FIT = ['thanks \u{1F600}', 'a b', '名前', "'; DROP TABLE x; --", '\\u0000', '�'];

describe('text that a caller gives', () => {
  it.each([
    ['a key, user id or tag', (text: string) => void requireIdentifier('field', text)],
    ['a name of a task or event', (text: string) => expect(nameIssue(text)).toBeUndefined()],
    ['a reason', (text: string) => void requireText('reason', text, 1_000)],
  ])('is refused as %s when no column can hold it, or it would read back as another text', (_what, check) => {
    for (const text of UNFIT) expect(() => check(text)).toThrow();
    for (const text of FIT) expect(() => check(text)).not.toThrow();
  });

  it('may have line breaks and tabs where it is free text, and nowhere else', () => {
    expect(requireText('reason', 'no\tlonger\r\nneeded', 20)).toBe('no\tlonger\r\nneeded');
    expect(() => requireIdentifier('userId', 'a\nb')).toThrow();
    expect(nameIssue('a\nb')).toBeDefined();
  });

  it('is cleaned where nobody can be asked to mend it', () => {
    expect(storableText('a\0b \ud800 \u{1F600}\n')).toBe('a\uFFFDb \uFFFD \u{1F600}\n');
  });
});
