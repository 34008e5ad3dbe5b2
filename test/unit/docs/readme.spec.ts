import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from '@jest/globals';

const root = fileURLToPath(new URL('../../..', import.meta.url));

describe('The docs', () => {
  it('have tables of options, errors, statistics and reasons for degraded that agree with the sources', () => {
    const script = join(root, 'scripts/readme-tables.mjs');
    expect(execFileSync(process.execPath, [script, '--check'], { encoding: 'utf8' })).toContain('agree with their sources');
  });
});

describe('docs/regressions.md', () => {
  const page = readFileSync(join(root, 'docs/regressions.md'), 'utf8').replaceAll(/\n +/g, ' ');
  const tests = [...page.matchAll(/`(test\/[^`]+)`, "([^"]+)"/g)].map((match) => [match[2]!, match[1]!] as const);

  it('has every defect of the list', () => {
    expect(page.match(/^\d+\. /gm)).toHaveLength(21);
    expect(tests.length).toBeGreaterThan(21);
  });

  it.each(tests)('names a test that exists: %s', (name, file) => {
    expect(readFileSync(join(root, file), 'utf8').replaceAll("\\'", "'")).toContain(name);
  });
});

describe('docs/guarantees.md', () => {
  const page = readFileSync(join(root, 'docs/guarantees.md'), 'utf8');
  const files = new Set(readdirSync(join(root, 'test'), { recursive: true, encoding: 'utf8' }).map((file) => `test/${file}`));
  const named = (text: string): string[] => [...text.matchAll(/`(test\/[^`]+)`/g)].map((match) => match[1]!);

  it('names tests for each of the twelve promises', () => {
    for (let promise = 1; promise <= 12; promise++) {
      const row = page.split('\n').find((line) => line.startsWith(`| P${promise} `));
      expect(row).toBeDefined();
      expect(named(row!).length).toBeGreaterThan(1);
    }
  });

  it('names no test that does not exist', () => {
    expect(named(page).filter((file) => !files.has(file))).toEqual([]);
  });
});
