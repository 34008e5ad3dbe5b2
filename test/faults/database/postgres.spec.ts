import { afterEach, describe, expect, it } from '@jest/globals';
import type { Failpoint } from '../../../lib/primitives/failpoint.js';
import type { Arm } from '../../support/process/doomed-app.js';
import { EmbeddedPostgres } from '../../support/database/embedded-postgres.mjs';
import { scaled } from '../../support/oracle/fault-scale.js';
import { plainPostgresAt, withClient } from '../../support/database/plain-database.js';
import { postgresUrl } from '../../support/database/test-databases.js';
import { House } from '../failpoints/house.js';

const RESTARTS = scaled(3, 10);
const ROUNDS = scaled(1, 4);
const TIMEOUT_MS = 1_800_000;
const PLACES: readonly Failpoint[] = ['flush.before-transaction', 'flush.after-rows', 'flush.after-events', 'flush.after-cursor'];

let house: House | undefined;
let server: EmbeddedPostgres | undefined;
afterEach(async () => {
  await house?.tearDown();
  await server?.stop();
  house = undefined;
  server = undefined;
});
const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

(postgresUrl() === undefined ? describe.skip : describe)('A PostgreSQL that fails under load', () => {
  it(
    `P7, P10: loses no task and no row when its connection ends in the middle of a batch, at ${PLACES.length} places`,
    async () => {
      house = await House.build({ database: 'postgres' });
      const { options } = house.database;
      const arms: Arm[] = PLACES.flatMap((point) =>
        Array.from({ length: ROUNDS }, (_, n) => ({
          id: `${point} ${n}`,
          point,
          hit: 2 + n,
          victim: 'self' as const,
          signal: 'SIGSTOP' as const,
        })),
      );
      const app = house.start(arms);
      app.tell('load', { pauseMs: 20, databaseGoes: true });
      const done = new Set<string>();
      let terminated = 0;
      while (done.size < arms.length) {
        const next = await app.firesAny(arms.filter(({ id }) => !done.has(id)));
        done.add(next.arm);
        const sql =
          "SELECT pg_terminate_backend(pid) AS ok FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'nestjs-taskflow writer'";
        terminated += (await withClient(options, (client) => client.query(sql))).rows.filter(({ ok }) => ok).length;
        process.kill(next.pid, 'SIGCONT');
      }
      process.stdout.write(`postgres: ${terminated} backends ended in ${arms.length} batches\n`);
      expect(terminated).toBeGreaterThanOrEqual(arms.length);
      expect(await house.close(app)).toBeGreaterThan(20);
    },
    TIMEOUT_MS,
  );

  const noServerOfItsOwn = process.env['TASKFLOW_TEST_PG_OWN_SKIPPED'];
  (noServerOfItsOwn === undefined ? it : it.skip)(
    'P7, P10: loses no task and no row when the server crashes and comes back, again and again',
    async () => {
      const own = (server = await EmbeddedPostgres.start());
      house = await House.build({
        database: () => plainPostgresAt(own.options),
        flush: { circuitBreakerThreshold: 2, circuitBreakerDurationMs: 1_000 },
      });
      const app = house.start([]);
      await app.isReady();
      app.tell('load', { pauseMs: 20, databaseGoes: true });
      for (let round = 1; round <= RESTARTS; round++) {
        const { flush, eventLog } = await app.ask('stats');
        // Rows are there that only the server's own recovery can bring back.
        while ((await app.ask('stats')).flush.appliedSeq <= flush.appliedSeq) await pause(20);
        await own.crash();
        while ((await app.ask('stats')).flush.breaker !== 'open') await pause(20);
        const { eventLog: later } = await app.ask('stats');
        expect(later.state).toBe('open');
        expect(later.durableSeq).toBeGreaterThan(eventLog.durableSeq);
        await own.startAgain();
        while ((await app.ask('stats')).flush.breaker !== 'closed') await pause(20);
      }
      const { unreadable } = await app.ask('stats');
      process.stdout.write(`postgres: ${RESTARTS} crashes, ${unreadable} submits and cancels refused for want of the database\n`);
      expect(await house.close(app)).toBeGreaterThan(20);
    },
    TIMEOUT_MS,
  );
});
