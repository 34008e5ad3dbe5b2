/**
 * How long a test waits for what must come. A backstop, so that a test says what did not come: only what never comes takes so long,
 * and a machine that is busy with other things may need minutes for what else takes a moment. Below `testTimeout` of jest. Unit: ms.
 */
export const PATIENCE_MS = 300_000;
