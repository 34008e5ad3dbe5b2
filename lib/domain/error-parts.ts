import { printable } from './printable.js';

/** Errors behind errors: how deep, how many of one, and how many in all are looked at. */
const MAX_DEPTH = 5;
const MAX_INNER = 5;
const MAX_PARTS = 12;
const MAX_STACK_CHARS = 4_000;

/** One error of a tree of `cause` and `errors`. */
export interface ErrorParts {
  readonly error: unknown;
  readonly cause?: ErrorParts;
  readonly inner: readonly ErrorParts[];
}

/** What stands behind a thrown value, bounded and without circles. Never throws. */
export function partsOf(thrown: unknown): ErrorParts {
  const seen = new Set<unknown>();
  const visit = (error: unknown, depth: number): ErrorParts => {
    seen.add(error);
    const isNext = (each: unknown): boolean =>
      each !== undefined && each !== null && depth < MAX_DEPTH && seen.size < MAX_PARTS && !seen.has(each);
    const errors = memberOf(error, 'errors');
    const inner: ErrorParts[] = [];
    // Other `errors` are foreign data: a driver's list of codes, the fields of a form.
    if (Array.isArray(errors))
      for (const each of errors.slice(0, MAX_INNER) as unknown[])
        if (each instanceof Error && isNext(each)) inner.push(visit(each, depth + 1));
    const cause = memberOf(error, 'cause');
    return isNext(cause) ? { error, cause: visit(cause, depth + 1), inner } : { error, inner };
  };
  return visit(thrown, 1);
}

/** The stacks of an error and of what stands behind it, for logs and traces. Only stacks: other members may hold requests and secrets. */
export function traceOf(thrown: unknown): string {
  const lines = (parts: ErrorParts, prefix: string): string[] => [
    prefix + stackOf(parts.error),
    ...(parts.cause === undefined ? [] : lines(parts.cause, 'Caused by: ')),
    ...parts.inner.flatMap((each, index) => lines(each, `Inner error ${index + 1}: `)),
  ];
  return lines(partsOf(thrown), '').join('\n');
}

/**
 * The error in one line, then where it came from. Its name and message may hold what a user typed: with its line breaks escaped, none of it
 * can pass for a line of the log, nor can a terminal be told anything.
 */
function stackOf(error: unknown): string {
  const stack = memberOf(error, 'stack');
  const frames = typeof stack === 'string' ? stack.slice(0, MAX_STACK_CHARS).split('\n').filter(isFrame) : [];
  return [`${errorNameOf(error)}: ${errorMessageOf(error)}`.slice(0, MAX_STACK_CHARS), ...frames].map(printable).join('\n');
}

const isFrame = (line: string): boolean => /^ {4}at /.test(line);

export function errorNameOf(thrown: unknown): string {
  const name = memberOf(thrown, 'name');
  return typeof name === 'string' && name !== '' ? name : 'Error';
}

export function errorMessageOf(thrown: unknown): string {
  const message = memberOf(thrown, 'message');
  if (typeof message === 'string') return message;
  try {
    return typeof thrown === 'object' && thrown !== null ? (JSON.stringify(thrown) ?? '') : String(thrown);
  } catch {
    return 'A value was thrown that cannot be shown.';
  }
}

/** Getters of foreign objects may throw; an error about an error helps nobody. */
export function memberOf(thrown: unknown, key: string): unknown {
  if ((typeof thrown !== 'object' && typeof thrown !== 'function') || thrown === null) return undefined;
  try {
    return Reflect.get(thrown, key);
  } catch {
    return undefined;
  }
}
