import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from '@jest/globals';

interface Mutant {
  readonly id: string;
  readonly test: readonly [file: string, name: string];
}
const root = fileURLToPath(new URL('../../..', import.meta.url));
const read = (file: string): string => readFileSync(join(root, file), 'utf8');
const part = (name: string): Promise<Record<string, unknown>> => import(new URL(`../../mutants/${name}.mjs`, import.meta.url).href);
const MUTANTS = (await part('mutants'))['MUTANTS'] as readonly Mutant[];
const pageOf = (await part('page'))['pageOf'] as (mutants: readonly Mutant[]) => string;
const mutated = (await part('mutated'))['mutated'] as (mutant: Mutant, of: typeof read) => Map<string, string>;

describe('The list of mutants', () => {
  it.each(MUTANTS.map((mutant) => [mutant.id, mutant] as const))('%s: its text is in the code once, and its test exists', (_id, mutant) => {
    expect(mutated(mutant, read).size).toBeGreaterThan(0);
    expect(existsSync(join(root, mutant.test[0]))).toBe(true);
  });

  it('has every name once', () => {
    expect(new Set(MUTANTS.map(({ id }) => id)).size).toBe(MUTANTS.length);
  });

  it('is what docs/mutations.md says was found', () => {
    expect(read('docs/mutations.md')).toBe(pageOf(MUTANTS));
  });
});
