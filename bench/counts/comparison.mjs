/**
 * How far a count may exceed the baseline, and why it is not zero. Five runs with a load of 24 on two cores differed by 0.6 % in
 * allocated bytes, 0.3 % in promises, 1 % in timers of a run, and in nothing else.
 */
export const TOLERANCES = [
  { what: 'timers', of: (_group, name) => name === 'timers', share: 0.15, atLeast: 0.05 },
  // Feedback of the interpreter, caches that grow, and timers of the system itself.
  { what: 'allocated bytes', of: (_group, name) => name === 'allocatedBytes', share: 0.03 },
  { what: 'promises', of: (_group, name) => name === 'promises', share: 0.02 },
  // Numbers grow digits.
  { what: 'log bytes', of: (_group, name) => name === 'logBytes', share: 0.01 },
  { what: 'writes and syncs', of: (_group, name) => /PerWave$/.test(name), share: 0.1 },
  { what: 'SQL statements', of: (group) => group === 'flush', share: 0, atLeast: 1 },
];

/** What differs by the version of Node; the rest is compared with any baseline. */
const OF_THE_ENGINE = new Set(['allocatedBytes', 'promises', 'timers']);

/** A line per count, how many exceed their baseline, and whether some are below it by more than their tolerance. */
export function compare(counts, baselines, major) {
  const own = baselines[major];
  const any = own ?? Object.values(baselines)[0];
  const lines = [];
  let exceeded = 0;
  let isBelow = false;
  for (const [group, values] of Object.entries(counts))
    for (const [name, value] of Object.entries(values)) {
      const baseline = (OF_THE_ENGINE.has(name) ? own : any)?.[group]?.[name];
      const { share, atLeast = 0 } = TOLERANCES.find(({ of }) => of(group, name));
      const allowed = baseline === undefined ? undefined : Math.max(baseline * (1 + share), baseline + atLeast);
      const isOver = allowed !== undefined && value > allowed;
      if (isOver) exceeded++;
      if (baseline !== undefined && value < Math.min(baseline * (1 - share), baseline - atLeast)) isBelow = true;
      const against = baseline === undefined ? `no baseline for Node ${major}` : `baseline ${text(baseline)}, at most ${text(allowed)}`;
      lines.push(`${isOver ? 'OVER' : 'ok  '}  ${`${group} ${name}`.padEnd(28)} ${text(value).padStart(10)}   ${against}`);
    }
  return { lines, exceeded, isBelow };
}

const text = (value) => (Number.isInteger(value) ? String(value) : value.toFixed(2));
