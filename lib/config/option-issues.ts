import leven from 'leven';
import type { FieldIssue } from '../errors/request.errors.js';

/** The known name that takes the fewest edits; letter case is no edit. */
export function nearestOption(name: string, known: readonly string[]): string | undefined {
  const lower = name.toLowerCase();
  let nearest: string | undefined;
  let fewest = Number.POSITIVE_INFINITY;
  for (const candidate of known) {
    const edits = leven(lower, candidate.toLowerCase());
    if (edits < fewest) [nearest, fewest] = [candidate, edits];
  }
  return nearest;
}

/** One fault, with the value that was found. A string where a number belongs mostly comes from the environment: say so. */
export function fieldIssue(path: string, rule: string, found: unknown): FieldIssue {
  const isNumeric = typeof found === 'string' && found.trim() !== '' && Number.isFinite(Number(found));
  const hint = isNumeric && rule.includes('number') ? '; convert text from the environment with Number(…)' : '';
  return { path, message: `${rule}, not ${describe(found)}${hint}` };
}

/** Kind of the value, and the value itself where it is short and cannot hold a secret. */
function describe(value: unknown): string {
  if (value === null || typeof value === 'number' || typeof value === 'boolean') return String(value);
  if (Array.isArray(value)) return 'an array';
  if (typeof value === 'string') return value === '' ? 'an empty string' : 'a string';
  return typeof value === 'function' ? 'a function' : `of type ${typeof value}`;
}
