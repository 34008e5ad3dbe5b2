/** `npm run test:faults` sets TASKFLOW_FAULTS=full; everything else, CI included, runs the same tests over fewer cases. */
export const isFull = process.env['TASKFLOW_FAULTS'] === 'full';

/** How many cases: the first number in CI, the second one by command. */
export const scaled = (ci: number, full: number): number => (isFull ? full : ci);
