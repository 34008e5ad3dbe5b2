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

function stackOf(error: unknown): string {
  const stack = memberOf(error, 'stack');
  const text = typeof stack === 'string' && stack !== '' ? stack : `${errorNameOf(error)}: ${errorMessageOf(error)}`;
  return text.length > MAX_STACK_CHARS ? `${text.slice(0, MAX_STACK_CHARS)}…` : text;
}

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
