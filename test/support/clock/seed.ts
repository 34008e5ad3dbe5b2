const FIXED_SEED = 1;

/** Where random tests take their chance from. The same in every run, unless `npm run test:seeds` gives a fresh one. */
export const SEED = Number(process.env['TASKFLOW_TEST_SEED'] ?? FIXED_SEED);

/** A promise holds for every seed. Whether a case was met at all is luck under a fresh one, so only the fixed one is held to that. */
export const isFixedSeed = SEED === FIXED_SEED;
