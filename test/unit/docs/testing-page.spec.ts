import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, it } from '@jest/globals';

const root = fileURLToPath(new URL('../../..', import.meta.url));

it('docs/testing.md shows the code that its tests run', () => {
  const page = readFileSync(join(root, 'docs/testing.md'), 'utf8');
  const blocks = [...page.matchAll(/<!-- file: (\S+) -->\n+```ts\n(.*?)```/gs)].map(([, file, code]) => [file!, code!] as const);
  expect(blocks).toHaveLength(3);
  for (const [file, code] of blocks) expect([file, code]).toEqual([file, readFileSync(join(root, file), 'utf8')]);
});
