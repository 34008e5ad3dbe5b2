import { randomUUID } from 'node:crypto';
import { cp, mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { adopt } from '../../../lib/engines/local/cli/adopt.command.js';
import { readArguments } from '../../../lib/cli/arguments.js';
import type { CommandResult } from '../../../lib/cli/command.interface.js';
import { verify } from '../../../lib/engines/local/cli/verify.command.js';
import type { LogFileSystem } from '../../../lib/contracts/log-file-system.interface.js';
import { NodeFileSystem } from '../../../lib/engines/local/wal/node-file-system.js';
import { SystemIdSource } from '../../../lib/primitives/id-source.js';
import { SystemClock } from '../../../lib/primitives/system-clock.js';
import { DatabaseConnection } from '../../../lib/repository/database.connection.js';
import { databaseTarget } from '../../../lib/repository/database-target.js';
import { TypeOrmProjector } from '../../../lib/engines/local/storage/typeorm-projector.js';
import { TypeOrmTaskStore } from '../../../lib/engines/local/storage/typeorm-task-store.js';
import { dyingAt } from '../../support/disk/dying-disk.js';
import { EntryScript } from '../../support/database/entry-script.js';
import { draft, logFixture, scanned } from '../../support/disk/event-log-fixture.js';
import { scaled } from '../../support/oracle/fault-scale.js';
import { ensureFile } from '../../support/database/test-databases.js';

const ports = { clock: new SystemClock(), ensureFile, sharesProcessWithLog: false };
const targetIn = (path: string) => databaseTarget({ type: 'sqlite', database: join(path, 'tasks.db') });

let root: string;
let lost: EntryScript;
let unfinished: string[];
let mine: string;

/** A log with an entry of its own, beside a database with three unfinished tasks of a log that is gone. */
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'taskflow-adopt-'));
  lost = new EntryScript();
  unfinished = [randomUUID(), randomUUID(), randomUUID()].sort();
  for (const id of unfinished) lost.created(id, { userId: 'ada', key: `key-${id}` });
  lost.add('start', unfinished[1]!);
  lost.complete(lost.created(randomUUID()).taskId);
  const path = join(root, 'sound');
  await mkdir(path, { recursive: true, mode: 0o700 });
  const projector = new TypeOrmProjector(new DatabaseConnection(targetIn(path), 'writer', ports), {
    keyConflict: () => undefined,
    quarantined: () => undefined,
  });
  await projector.open();
  await projector.apply(lost.batch(null));
  await projector.close();
  const { log, open, append } = logFixture(join(path, 'events.log'));
  mine = (await open()).logId;
  await append(draft({ type: 'created', taskSeq: 1, body: '{"name":"own","input":null,"maxAttempts":1,"timeoutMs":1000}' }));
  await log.close();
});
afterAll(() => rm(root, { recursive: true, force: true }));

function run(command: typeof adopt, words: readonly string[], fs: LogFileSystem = new NodeFileSystem()): Promise<CommandResult> {
  const args = readArguments(['log', ...words])!;
  return command({ args, fs, clock: new SystemClock(), ids: new SystemIdSource(), write: async () => undefined });
}

async function homesIn(path: string): Promise<string[]> {
  const store = new TypeOrmTaskStore(targetIn(path), ports);
  await store.open();
  const states = await store.findByIds(unfinished);
  await store.close();
  return unfinished.map((id) => `${states.get(id)!.home} ${states.get(id)!.status} ${states.get(id)!.lastSeq}`);
}

describe('An adoption', () => {
  it('that dies at any change of the log is ended by the next one: every task has moved, once, as it was', async () => {
    let died = 0;
    for (let n = 1; ; n += scaled(3, 1)) {
      const path = join(root, String(n));
      await cp(join(root, 'sound'), path, { recursive: true });
      const words = ['adopt', lost.logId, path, '--database', join(path, 'tasks.db'), '--yes'];
      const isDead = await run(adopt, words, dyingAt(n).fs).then(
        () => false,
        () => true,
      );
      if (isDead) {
        died++;
        // Nothing that the log does not say.
        const halfway = await homesIn(path);
        expect(halfway.every((each) => each.startsWith(lost.logId))).toBe(true);
      }
      expect((await run(adopt, words)).exitCode).toBe(0);
      expect(await homesIn(path)).toEqual(unfinished.map((_id, at) => `${mine} ${at === 1 ? 'running 2' : 'created 1'}`));
      expect((await run(verify, ['verify', path, '--database', join(path, 'tasks.db')])).exitCode).toBe(0);
      const { log, open } = logFixture(join(path, 'events.log'));
      await open();
      const adopted = (await scanned(log)).flatMap(({ entries }) => entries.filter(({ type }) => type === 'adopted'));
      await log.close();
      expect([...new Set(adopted.map(({ taskId }) => taskId as string))].sort()).toEqual(unfinished);
      await rm(path, { recursive: true });
      if (!isDead) break;
    }
    expect(died).toBeGreaterThan(2);
  });
});
