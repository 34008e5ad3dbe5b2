import { constants } from 'node:os';
import { EmbeddedPostgres } from './embedded-postgres.mjs';

/**
 * One PostgreSQL for all projects of a run: the one that TASKFLOW_TEST_PG_URL names, or an embedded one in a temporary folder.
 * Suites make databases of their own in it. Where none can be had, they are skipped, and that is said; so are the tests that crash a
 * server of their own.
 */
export default async function setUpPostgres() {
  const skipped = await offerPostgres(() => EmbeddedPostgres.start({ flags: ['full_page_writes=off'] }));
  if (skipped !== undefined) process.stderr.write(`\n${skipped}\n\n`);
}

/** @returns what is skipped and why, if anything is. */
export async function offerPostgres(start, check = () => EmbeddedPostgres.check()) {
  const { env } = process;
  if (env.TASKFLOW_TEST_PG_SKIPPED !== undefined) return undefined;
  const isGiven = env.TASKFLOW_TEST_PG_URL !== undefined;
  try {
    if (isGiven) {
      await check();
      return undefined;
    }
    const server = await start();
    globalThis.taskflowPostgres = server;
    env.TASKFLOW_TEST_PG_URL = server.url;
    // The server of a run that is stopped half-way goes with it.
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.once(signal, () => process.exit(128 + constants.signals[signal]));
    return undefined;
  } catch (error) {
    env[isGiven ? 'TASKFLOW_TEST_PG_OWN_SKIPPED' : 'TASKFLOW_TEST_PG_SKIPPED'] = error.message;
    const which = isGiven ? 'that crash a server of their own ' : '';
    return `PostgreSQL tests ${which}are SKIPPED: no server could be started (${error.message}).`;
  }
}
