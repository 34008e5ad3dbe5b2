import { appendFileSync } from 'node:fs';

export type FaultCount = 'crash states' | 'faults' | 'model runs' | 'kills';

/** Adds to the counts that `npm run test:faults` prints at its end, and demands a minimum of. Nothing when the tests run alone. */
export function tally(what: FaultCount, count: number, seed?: number): void {
  const file = process.env['TASKFLOW_FAULTS_TALLY'];
  if (file !== undefined) appendFileSync(file, `${JSON.stringify({ what, count, seed })}\n`);
}
