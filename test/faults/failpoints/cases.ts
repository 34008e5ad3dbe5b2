import { FAILPOINTS, type Failpoint } from '../../../lib/primitives/failpoint.js';
import type { Arm } from '../../support/process/doomed-app.js';

/** When a process comes past a point. */
export type Stage = 'load' | 'rotation' | 'flush' | 'quarantine' | 'unquarantine' | 'release' | 'retention' | 'pruning' | 'start' | 'stop';

const STAGE: readonly (readonly [RegExp, Stage])[] = [
  [/^(submit|claim|completion|commit)\./, 'load'],
  [/^rotation\./, 'rotation'],
  [/^flush\.before-release$/, 'release'],
  [/^flush\.after-dead-entries$/, 'quarantine'],
  [/^flush\.after-quarantined-gone$/, 'unquarantine'],
  [/^flush\./, 'flush'],
  [/pruned$/, 'pruning'],
  [/^retention\./, 'retention'],
  [/^(replace|recovery)\./, 'start'],
  [/^shutdown\./, 'stop'],
];

/** @throws Error for a point that no test attacks. */
export function stageOf(point: Failpoint): Stage {
  const found = STAGE.find(([pattern]) => pattern.test(point));
  if (found === undefined) throw new Error(`No test kills a process at ${point}.`);
  return found[1];
}

export const pointsOf = (...stages: readonly Stage[]): Failpoint[] => FAILPOINTS.filter((point) => stages.includes(stageOf(point)));

let count = 0;
export const arm = (point: Failpoint, hit: number, victim: Arm['victim'] = 'self'): Arm => ({
  id: `${++count} ${point}`,
  point,
  hit,
  victim,
});

/** The `round`-th kill (from 0) meets the process later than the one before: once it has tasks that run, wait and have ended. */
export function hitOf(point: Failpoint, round: number): number {
  const stage = stageOf(point);
  if (stage === 'load') return 20 + 17 * round;
  // At a start and at an end there is one of each; tasks that were left behind come one by one.
  if (stage === 'start' || stage === 'stop') return 1;
  return 1 + round;
}

export function shuffled<T>(items: readonly T[], random: () => number): T[] {
  const left = [...items];
  for (let at = left.length - 1; at > 0; at--) {
    const other = Math.floor(random() * (at + 1));
    [left[at], left[other]] = [left[other]!, left[at]!];
  }
  return left;
}

/** One of each in turn, as long as there are any. */
export function alternating<T>(first: readonly T[], second: readonly T[]): T[] {
  const length = Math.max(first.length, second.length);
  return Array.from({ length }, (_, at) => [first[at], second[at]]).flatMap((pair) => pair.filter((item) => item !== undefined));
}
