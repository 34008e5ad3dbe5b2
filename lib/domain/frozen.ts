/** Freezes what `JSON.parse` gave, to the last member: one who is shown it must not change what others are shown. */
export function frozenJson<T>(value: T): T {
  if (typeof value !== 'object' || value === null || Object.isFrozen(value)) return value;
  // Made by JSON.parse: nothing is inherited that `in` would find, and a list of the values would be made for each event.
  for (const name in value) frozenJson(value[name]);
  return Object.freeze(value);
}

const EMPTY: readonly never[] = Object.freeze([]);

/** A frozen list of its own: the one given may belong to a repository. */
export const frozenList = <T>(list: readonly T[]): readonly T[] => (list.length === 0 ? EMPTY : Object.freeze([...list]));
