import { INPUT } from '../core/settings.mjs';
import { openSystem } from '../systems/taskflow.mjs';

/** Times until the first submit is accepted: from the start of the process, and from the call that creates the system. */
export async function run({ folder, spawnedAt }) {
  const calledAt = Date.now();
  const { system, close } = await openSystem({ noop: async () => undefined }, { folder });
  await system.submit('noop', { input: INPUT });
  const acceptedAt = Date.now();
  await close();
  return { fromSpawnMs: acceptedAt - spawnedAt, fromCallMs: acceptedAt - calledAt };
}
