import { format } from '../core/format.mjs';
import { median, spread } from '../core/statistics.mjs';

const isOf = (measurement, { workload, system, variant }) =>
  measurement.workload === workload && measurement.system === system && (variant === undefined || measurement.variant === variant);

/** The values of one figure by round. */
export function valuesByRound({ measurements }, wanted) {
  const found = measurements.filter((measurement) => isOf(measurement, wanted) && measurement.figures?.[wanted.figure] !== undefined);
  return new Map(found.map(({ round, figures }) => [round, figures[wanted.figure]]));
}

/** Ratios of the same rounds; unpaired: to the median of all that the other gave. */
export function ratios(report, value, per, isPaired = true) {
  const [values, others] = [valuesByRound(report, value), valuesByRound(report, per)];
  if (others.size === 0) return [];
  const middle = median([...others.values()]);
  return [...values].flatMap(([round, figure]) => {
    const other = isPaired ? others.get(round) : middle;
    return other === undefined ? [] : [figure / other];
  });
}

/** @returns null when the report lacks what it needs. */
export function judge(report, target) {
  const values =
    target.per === undefined
      ? [...valuesByRound(report, target.value).values()]
      : ratios(report, target.value, target.per, target.isPaired);
  if (values.length === 0) return null;
  const { median: middle, min, max } = spread(values);
  const isMet = target.atLeast === undefined ? middle <= target.atMost : middle >= target.atLeast;
  const unit = target.unit ?? 'x';
  return { target, values, median: middle, min, max, isMet, unit, bound: boundText(target, unit) };
}

const boundText = ({ atLeast, atMost }, unit) => `${atLeast === undefined ? '≤' : '≥'} ${withUnit(atLeast ?? atMost, unit)}`;

export const withUnit = (value, unit) => `${format(value)}${unit === '/s' ? '/s' : unit === '' ? '' : unit === 'x' ? ' x' : ` ${unit}`}`;

/** `12,345 [11,000 .. 13,000]` */
export function spreadText(values) {
  const { median: middle, min, max } = spread(values);
  return values.length === 1 ? format(middle) : `${format(middle)} [${format(min)} .. ${format(max)}]`;
}
