import { inChild } from '../core/child.mjs';

const RUN = new URL('./sustained-run.mjs', import.meta.url).href;
const BARE = new URL('../ceilings/bare-insert.mjs', import.meta.url).href;

/** W2b: every row in the database, sustained; before and after it a bare loop that inserts the same rows. */
export async function measure({ quick, note }) {
  const durations = quick ? { trialMs: 2_000, sustainMs: 5_000 } : { trialMs: 6_000, sustainMs: 60_000 };
  const bare = { durationMs: quick ? 2_000 : 15_000 };
  note({ system: 'bare-insert', round: 1, figures: await inChild(BARE, bare) });
  note({ system: 'taskflow', round: 1, figures: await inChild(RUN, durations) });
  note({ system: 'bare-insert', round: 2, figures: await inChild(BARE, bare) });
}
