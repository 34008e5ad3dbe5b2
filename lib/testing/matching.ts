/** Of Jest, Vitest and others: `expect.any(String)`, `expect.stringContaining('a')`. */
const isMatcher = (value: object): value is { asymmetricMatch(other: unknown): boolean } =>
  typeof (value as { asymmetricMatch?: unknown }).asymmetricMatch === 'function';

/** True when `actual` has everything that `expected` has: more members are no difference, array elements are. */
export function matches(actual: unknown, expected: unknown): boolean {
  if (typeof expected !== 'object' || expected === null) return Object.is(actual, expected);
  if (isMatcher(expected)) return expected.asymmetricMatch(actual);
  // Inputs are stored as JSON.
  if (expected instanceof Date) return actual === expected.toJSON();
  if (typeof actual !== 'object' || actual === null || Array.isArray(actual) !== Array.isArray(expected)) return false;
  if (Array.isArray(expected) && (actual as unknown[]).length !== expected.length) return false;
  return Object.entries(expected).every(
    ([name, value]) => (value === undefined || Object.hasOwn(actual, name)) && matches((actual as Record<string, unknown>)[name], value),
  );
}
