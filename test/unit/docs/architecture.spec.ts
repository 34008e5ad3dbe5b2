import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, it } from '@jest/globals';

const root = fileURLToPath(new URL('../../..', import.meta.url));

it('docs/architecture.md names only files and folders that exist', () => {
  const page = readFileSync(join(root, 'docs/architecture.md'), 'utf8');
  const named = [...page.matchAll(/`([a-z][\w./-]*(?:\.ts|\/))`/g)].map(([, path]) => path!);
  expect(named.length).toBeGreaterThan(20);
  for (const path of named) expect([path, existsSync(join(root, path.startsWith('lib/') ? '' : 'lib', path))]).toEqual([path, true]);
});

it('docs/architecture.md says of every room what it is for', () => {
  const page = readFileSync(join(root, 'docs/architecture.md'), 'utf8');
  const folders = (path: string): string[] =>
    readdirSync(join(root, 'lib', path), { withFileTypes: true }).flatMap((each) => (each.isDirectory() ? [`${path}${each.name}/`] : []));
  // The main of the flush process, which is part of the root floor.
  const rooms = [...folders(''), ...folders('engines/'), ...folders('engines/local/')].filter(
    (room) => !['flush/', 'engines/'].includes(room),
  );
  expect(rooms.length).toBeGreaterThan(20);
  const table = page.slice(page.indexOf('## Rooms'), page.indexOf('## Words'));
  expect(rooms.filter((room) => !table.includes(`\`${room}\``))).toEqual([]);
});
