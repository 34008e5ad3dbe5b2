import { inChild } from '../core/child.mjs';

const MEMORY = new URL('../workloads/memory.mjs', import.meta.url).href;
const SYSTEM = new URL('../systems/taskflow.mjs', import.meta.url).href;

/** W5 with a million queued tasks. */
export async function measure({ quick, note }) {
  const tasks = quick ? 50_000 : 1_000_000;
  note({
    system: 'taskflow',
    variant: `queued-${tasks}`,
    round: 1,
    figures: await inChild(MEMORY, { system: SYSTEM, tasks }, { gc: true }),
  });
}
