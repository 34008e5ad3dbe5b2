import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from '@jest/globals';

const folder = fileURLToPath(new URL('../..', import.meta.url));
const specs = readdirSync(folder, { recursive: true, encoding: 'utf8' })
  .filter((file) => file.endsWith('spec.ts') || (file.startsWith('support/') && file.endsWith('.ts')))
  .map((file) => ({ file, text: readFileSync(join(folder, file), 'utf8') }));
const filesWith = (pattern: RegExp): string[] =>
  specs.filter(({ file, text }) => pattern.test(text) && !file.endsWith('chance.spec.ts')).map(({ file }) => file);

describe('Random tests', () => {
  it('take their chance from support/clock/seed.ts, so that a run tells of the code and `npm run test:seeds` reaches them all', () => {
    expect(specs.length).toBeGreaterThan(100);
    expect(filesWith(/Math\.random\(?\)?[,);* ]/)).toEqual([]);
    expect(filesWith(/Date\.now\(\) %/)).toEqual([]);
    expect(filesWith(/from 'fast-check'/).filter((file) => !filesWith(/seed: /).includes(file))).toEqual([]);
  });
});
