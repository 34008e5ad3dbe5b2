import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { crc32 } from 'node:zlib';
import { describe, expect, it } from '@jest/globals';

const root = fileURLToPath(new URL('../../..', import.meta.url));
const read = (file: string): string => readFileSync(join(root, file), 'utf8');
const page = read('docs/log-format.md');
const example = /```text\n([\s\S]*?)```/.exec(page)![1]!;
const hex = (value: number): string => value.toString(16).padStart(8, '0');

describe('docs/log-format.md', () => {
  it('shows a real segment, byte for byte', () => {
    expect(example).toBe(read('test/fixtures/log-v1/clean/events-0000000000000001.log'));
  });

  it('describes the checksums so that they can be computed from the page alone', () => {
    const lines = example.trimEnd().split('\n');
    const [, json, headerCrc] = /^#H (.*) (\w{8})$/.exec(lines[0]!)!;
    const salt = crc32(json!);
    expect(hex(salt)).toBe(headerCrc);
    let chain = (JSON.parse(json!) as { prev: string }).prev;
    let frames = 0;
    for (let at = 1; at < lines.length; at++) {
      const mark = /^(#[BS] .* (\w{8}) )(\w{8})$/.exec(lines[at]!);
      if (mark === null) continue;
      const count = lines[at]!.startsWith('#B') ? Number(lines[at]!.split(' ')[3]) : 0;
      const body = lines.slice(at + 1, at + 1 + count).map((line) => `${line}\n`);
      const crc = crc32(body.join(''), crc32(mark[1]!, salt));
      expect([mark[2], mark[3]]).toEqual([chain, hex(crc)]);
      if (count > 0) expect(Buffer.byteLength(body.join(''))).toBe(Number(lines[at]!.split(' ')[4]));
      chain = mark[3]!;
      frames++;
    }
    expect(frames).toBe(5);
  });

  it('names every entry type that a release writes', () => {
    const types = [...read('lib/domain/entry-types.ts').matchAll(/^ {2}'?([\w-]+)'?: \{ is: /gm)].map(([, type]) => type!);
    expect(types.length).toBeGreaterThan(14);
    for (const type of types) expect(page).toMatch(new RegExp(`[\` ]${type}[\` ]`));
  });
});
