import { spawnSync } from 'node:child_process';
import { closeSync, fsyncSync, openSync, rmSync, statfsSync, writeSync } from 'node:fs';
import { copyFile, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from '@jest/globals';
import { type DoomedApp, UNSHARE } from '../../support/process/doomed-app.js';
import { scaled } from '../../support/oracle/fault-scale.js';
import { readRows } from '../../support/oracle/log-and-rows.js';
import { House } from '../failpoints/house.js';
import { PATIENCE_MS } from '../../support/clock/patience.js';

const ROUNDS = scaled(1, 3);
const TIMEOUT_MS = 1_800_000;
const MOUNT = 'mount -t tmpfs -o size=16m taskflow';
const probe = spawnSync(UNSHARE[0]!, [...UNSHARE.slice(1), 'sh', '-c', `${MOUNT} /tmp`]);
const name =
  probe.status === 0
    ? 'A full disk under the SQLite database'
    : `A full disk under the SQLite database (SKIPPED: no mount namespace: ${String(probe.stderr).trim()})`;

let house: House | undefined;
afterEach(async () => {
  await house?.tearDown();
  house = undefined;
});

/** Takes every byte that is left, and gives it all back. */
class Ballast {
  readonly file: string;
  constructor(private readonly folder: string) {
    this.file = join(folder, 'ballast');
  }

  fill(): number {
    const fd = openSync(this.file, 'w');
    try {
      for (const size of [65_536, 4_096, 512]) this.fillBy(fd, size);
      fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
    return statfsSync(this.folder).bavail;
  }

  private fillBy(fd: number, size: number): void {
    try {
      for (;;) writeSync(fd, Buffer.alloc(size, 1));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
    }
  }

  remove(): void {
    rmSync(this.file);
  }
}

async function reach(app: DoomedApp, holds: (stats: any) => boolean, withinMs = PATIENCE_MS): Promise<any> {
  for (const end = Date.now() + withinMs; ; await new Promise((resolve) => setTimeout(resolve, 50))) {
    const stats = await app.ask('stats');
    if (holds(stats)) return stats;
    if (Date.now() > end) throw new Error(`Not reached: ${JSON.stringify(stats)}`);
  }
}

(probe.status === 0 ? describe : describe.skip)(name, () => {
  it(
    'P10: costs no task: the log accepts, the breaker opens, and the rows equal the log once there is room again',
    async () => {
      let app: DoomedApp | undefined;
      // Only the app sees what is mounted there; /proc shows it to us.
      const seen = (folder: string): string => join(`/proc/${app!.pid}/root`, folder, 'db');
      house = await House.build({
        database: (folder) => ({
          options: { type: 'sqlite', database: join(folder, 'db', 'tasks.db') },
          // SQLite would look for the name behind the link, which is another file here. It was closed in order: one file is all.
          rows: async () => {
            const copy = join(folder, 'copy.db');
            await copyFile(join(seen(folder), 'tasks.db'), copy);
            return readRows(copy);
          },
          drop: () => Promise.resolve(),
        }),
        flush: { circuitBreakerThreshold: 3, circuitBreakerDurationMs: 500 },
      });
      const { folder } = house;
      await mkdir(join(folder, 'db'));
      app = house.start([], {}, `${MOUNT} "${join(folder, 'db')}"`);
      await app.isReady();
      app.tell('load', { pauseMs: 60, databaseGoes: true });
      await reach(app, ({ flush }) => flush.appliedSeq > 20);
      const ballast = new Ballast(seen(folder));
      for (let round = 1; round <= ROUNDS; round++) {
        expect(ballast.fill()).toBe(0);
        const full = await reach(app, ({ flush }) => flush.breaker === 'open');
        const later = await reach(app, ({ eventLog }) => eventLog.durableSeq > full.eventLog.durableSeq + 50);
        expect(later.eventLog.state).toBe('open');
        expect(later.flush.appliedSeq).toBeLessThan(later.eventLog.durableSeq);
        ballast.remove();
        await reach(app, ({ flush }) => flush.breaker === 'closed' && flush.appliedSeq > later.eventLog.durableSeq);
      }
      expect(await house.close(app)).toBeGreaterThan(20);
    },
    TIMEOUT_MS,
  );
});
