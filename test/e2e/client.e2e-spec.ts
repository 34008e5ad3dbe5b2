import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { describe, expect, it } from '@jest/globals';
import { minifySync } from '@swc/core';

const MAX_BYTES = 4 * 1024;
const folder = fileURLToPath(new URL('../../dist/client/', import.meta.url));
const scripts = readdirSync(folder).filter((file) => file.endsWith('.js'));

describe('nestjs-taskflow/client, as built', () => {
  it('is less than 4 KiB, minified and compressed', () => {
    const minified = scripts.map(
      (file) => minifySync(readFileSync(folder + file, 'utf8'), { module: true, mangle: true, compress: true }).code,
    );
    const bytes = gzipSync(minified.join(''), { level: 9 }).length;
    expect(bytes).toBeGreaterThan(MAX_BYTES / 4);
    expect(bytes).toBeLessThan(MAX_BYTES);
  });

  it('imports nothing but its own files, in its types too', () => {
    const files = readdirSync(folder).filter((file) => /\.(js|d\.ts)$/.test(file));
    const imports = files.flatMap((file) => [...readFileSync(folder + file, 'utf8').matchAll(/from '([^']+)'/g)].map(([, name]) => name!));
    expect(imports.length).toBeGreaterThan(5);
    expect(imports.filter((name) => !/^\.\/[\w.-]+\.js$/.test(name))).toEqual(['../contracts/task-event-type.js']);
  });
});
