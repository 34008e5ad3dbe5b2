/**
 * @returns the new text of each file that a mutant changes.
 * @throws when a text is not there exactly once: the code has moved on, and the mutant says nothing any more.
 */
export function mutated({ file, edits }, read) {
  const texts = new Map();
  for (const [from, to, other = file] of edits) {
    const text = texts.get(other) ?? read(other);
    const found = text.split(from).length - 1;
    if (found !== 1) throw new Error(`stale: ${other} has this text ${found} times instead of once: ${JSON.stringify(from)}`);
    if (from === to) throw new Error(`stale: an edit of ${other} changes nothing`);
    texts.set(
      other,
      text.replace(from, () => to),
    );
  }
  return texts;
}
