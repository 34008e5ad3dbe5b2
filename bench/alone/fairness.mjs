import { inChild } from '../core/child.mjs';

const RUN = new URL('./fairness-run.mjs', import.meta.url).href;
const ROUNDS = 3;

/** W9: what one user's queue does to the others. */
export async function measure({ quick, note }) {
  const load = { many: quick ? 10_000 : 100_000, users: 100, each: quick ? 2 : 10 };
  for (let round = 1; round <= (quick ? 1 : ROUNDS); round++) note({ system: 'taskflow', round, figures: await inChild(RUN, load) });
}
