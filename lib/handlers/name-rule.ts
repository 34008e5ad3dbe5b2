/** Line breaks would end a line of an event stream; a lone surrogate has no UTF-8. */
const UNFIT = /[\p{Cc}\p{Surrogate}\u2028\u2029]/u;
const MAX_CHARS = 200;

/** Why a value cannot name a task or a custom event; undefined when it can. */
export function nameIssue(name: unknown): string | undefined {
  if (typeof name !== 'string' || name === '') return `must be a string of 1 to ${MAX_CHARS} characters`;
  if (name.length > MAX_CHARS) return `must be at most ${MAX_CHARS} characters, got ${name.length}`;
  return UNFIT.test(name) ? 'must not contain control characters or lone surrogates' : undefined;
}
