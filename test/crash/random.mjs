/** A repeatable source of chance (mulberry32), seeded by a text. */
export function randomOf(seed) {
  let state = [...seed].reduce((hash, character) => Math.imul(hash ^ character.codePointAt(0), 16_777_619), 2_166_136_261);
  const next = () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
  return {
    next,
    /** 0 ≤ n < limit, whole. */
    below: (limit) => Math.floor(next() * limit),
    chance: (share) => next() < share,
    pick: (values) => values[Math.floor(next() * values.length)],
  };
}
