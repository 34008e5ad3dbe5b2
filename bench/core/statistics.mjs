/** The value below which a share of all values lies. */
export function quantile(values, share) {
  const sorted = Float64Array.from(values).sort();
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))];
}

export const median = (values) => quantile(values, 0.5);

export const spread = (values) => ({ median: median(values), min: Math.min(...values), max: Math.max(...values) });
