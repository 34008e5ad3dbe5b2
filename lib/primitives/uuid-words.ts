import type { TaskId } from '../contracts/ids.js';

const DASH = 45;
const HEX = Uint8Array.from('0123456789abcdef', (digit) => digit.charCodeAt(0));
const text = Buffer.alloc(36, DASH);

/**
 * Writes the 16 bytes of a task id as four words.
 * @throws TypeError for what is not a UUID in lower case: it could not be given back as it came.
 */
export function wordsOf(id: string, words: Uint32Array): void {
  if (id.length !== 36) throw notUuid(id);
  let word = 0;
  let digits = 0;
  for (let at = 0; at < 36; at += 1) {
    const code = id.charCodeAt(at);
    if (at === 8 || at === 13 || at === 18 || at === 23) {
      if (code !== DASH) throw notUuid(id);
      continue;
    }
    const value = code >= 48 && code <= 57 ? code - 48 : code >= 97 && code <= 102 ? code - 87 : -1;
    if (value < 0) throw notUuid(id);
    word = (word << 4) | value;
    digits += 1;
    if ((digits & 7) === 0) words[(digits >> 3) - 1] = word;
  }
}

export function idOf(a: number, b: number, c: number, d: number): TaskId {
  let at = 0;
  for (let digit = 0; digit < 32; digit += 1) {
    if (digit === 8 || digit === 12 || digit === 16 || digit === 20) at += 1;
    const word = digit < 8 ? a : digit < 16 ? b : digit < 24 ? c : d;
    text[at] = HEX[(word >>> (28 - ((digit & 7) << 2))) & 15]!;
    at += 1;
  }
  return text.toString('latin1') as TaskId;
}

const notUuid = (id: string): TypeError => new TypeError(`A task id is a UUID in lower case, not "${String(id).slice(0, 64)}".`);
