import { randomUUID } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { RepositoryOptions } from '../../../lib/config/repository.options.js';
import type { FlushCursor } from '../../../lib/contracts/task-store.interface.js';
import { fold } from '../../../lib/domain/fold.js';
import { keyHash, scopedKey } from '../../../lib/domain/task-key.js';
import { nextKeyBase, type TaskState } from '../../../lib/domain/task-state.js';
import { taskId } from '../../../lib/contracts/ids.js';
import { TypeOrmProjector } from '../../../lib/engines/local/storage/typeorm-projector.js';
import { TypeOrmTaskStore } from '../../../lib/engines/local/storage/typeorm-task-store.js';
import { SystemClock } from '../../../lib/primitives/system-clock.js';
import { DatabaseConnection } from '../../../lib/repository/database.connection.js';
import { databaseTarget } from '../../../lib/repository/database-target.js';
import { EntryScript } from '../../support/database/entry-script.js';
import { DATABASES, ensureFile, type TestDatabase } from '../../support/database/test-databases.js';

const DAY_MS = 86_400_000;
const scopedOf = (key: string, user = 'ann'): string => scopedKey(taskId(''), user, key);

describe.each(DATABASES)('Keys that are used again, on $name', ({ available, create }) => {
  const proof = available ? it : it.skip;
  let database: TestDatabase;
  let store: TypeOrmTaskStore;
  let writer: DatabaseConnection;
  let projector: TypeOrmProjector;
  let conflicts: string[];
  let script: EntryScript;
  let cursor: FlushCursor | null;

  beforeEach(async () => {
    if (!available) return;
    database = await create();
    conflicts = [];
    script = new EntryScript();
    cursor = null;
    const target = databaseTarget(database.options as unknown as RepositoryOptions);
    const ports = { clock: new SystemClock(), ensureFile };
    store = new TypeOrmTaskStore(target, { ...ports, sharesProcessWithLog: true });
    writer = new DatabaseConnection(target, 'writer', { ...ports, sharesProcessWithLog: false });
    projector = new TypeOrmProjector(writer, {
      keyConflict: (id) => void conflicts.push(id),
      quarantined: (_id, _entries, reason) => {
        throw new Error(reason);
      },
    });
    await store.open();
    await projector.open();
  });
  afterEach(async () => {
    if (!available) return;
    await projector.close();
    await store.close();
    await database.drop();
  });

  const flush = async (): Promise<void> => void (cursor = (await projector.apply(script.batch(cursor))).cursor);
  const begin = (key: string, more: object = {}): string => {
    const id = randomUUID();
    script.created(id, { userId: 'ann', key, inputHash: 'ff', ...more });
    return id;
  };
  /** As the reuse of a key is written: both entries in one frame. */
  const reuse = (old: string, key: string, more: object = {}): string => {
    const next = randomUUID();
    script.add('dlq-removed', old, { supersededBy: next });
    script.created(next, { userId: 'ann', key, inputHash: 'ff', keyBase: nextKeyBase(folded(old)!), ...more });
    return next;
  };
  const folded = (id: string): TaskState | null =>
    script.entries
      .filter((entry) => entry.taskId === id)
      .reduce<TaskState | null>((state, entry) => fold(state, entry, script.logId), null);
  const holderOf = async (key: string): Promise<string | undefined> => (await store.findByKeys([scopedOf(key)])).get(scopedOf(key))?.id;
  const baseOf = async (key: string): Promise<number | undefined> => (await store.keyBases([scopedOf(key)])).get(scopedOf(key));
  const expectRows = async (...ids: string[]): Promise<void> => {
    const rows = await store.findByIds(ids);
    for (const id of ids) expect(rows.get(id) ?? null).toEqual(folded(id));
  };
  const retired = async (): Promise<number> =>
    Number((await writer.rows(`SELECT COUNT(*) AS n FROM ${writer.tables.retiredKeys}`, []))[0]!['n']);

  proof.each([false, true])('go to the newest task, and the old ones are found by id; in batches of their own: %p', async (apart) => {
    const step = async (): Promise<void> => (apart ? flush() : undefined);
    const first = begin('k');
    script.fail(first);
    await step();
    const second = reuse(first, 'k');
    script.fail(second);
    await step();
    const third = reuse(second, 'k');
    await flush();
    expect(conflicts).toEqual([]);
    expect(await holderOf('k')).toBe(third);
    await expectRows(first, second, third);
    expect(folded(third)).toMatchObject({ keyBase: 8 });
    expect((await store.findByIds([first])).get(first)).toMatchObject({ supersededBy: second, deadLetteredAt: null });
  });

  proof.each([false, true])(
    'of a pruned task are remembered with where the next one begins; in batches of their own: %p',
    async (apart) => {
      const step = async (): Promise<void> => (apart ? flush() : undefined);
      const first = begin('k');
      script.complete(first);
      await step();
      const second = reuse(first, 'k');
      script.complete(second);
      await step();
      // The first has no key any more: what is remembered is of the second.
      script.add('pruned', first);
      await flush();
      expect(await baseOf('k')).toBeUndefined();
      script.add('pruned', second);
      await flush();
      expect(await holderOf('k')).toBeUndefined();
      expect(await baseOf('k')).toBe(8);
      const third = begin('k', { keyBase: 8 });
      script.complete(third);
      await step();
      script.add('pruned', third);
      await flush();
      expect(await baseOf('k')).toBe(12);
      expect(await retired()).toBe(1);
    },
  );

  proof('that were pruned twice in one batch are remembered once, and two keys do not meet', async () => {
    const lives = (key: string, times: number): void => {
      for (let n = 0, base = 0; n < times; n++, base += 4) {
        const id = begin(key, { keyBase: base });
        script.complete(id);
        script.add('pruned', id);
      }
    };
    lives('twice', 2);
    lives('once', 1);
    const kept = begin('kept');
    await flush();
    expect([await baseOf('twice'), await baseOf('once'), await baseOf('kept')]).toEqual([8, 4, undefined]);
    expect(await baseOf('of nobody')).toBeUndefined();
    expect(await holderOf('kept')).toBe(kept);
  });

  proof('that were generated are not remembered', async () => {
    const id = randomUUID();
    script.created(id);
    script.complete(id);
    script.add('pruned', id);
    await flush();
    expect(await retired()).toBe(0);
  });

  proof('are forgotten 30 days after their task was pruned, faster than new ones come', async () => {
    const backlog = 2_200;
    const now = script.created(randomUUID()).at;
    const rows = Array.from({ length: backlog }, (_, n) => `('old-${n}', 4, ${now - 30 * DAY_MS - 1 - n})`);
    await writer.run(`INSERT INTO ${writer.tables.retiredKeys} VALUES ${rows.join(', ')}`, []);
    await writer.run(`INSERT INTO ${writer.tables.retiredKeys} VALUES ('young', 4, ${now - 29 * DAY_MS})`, []);
    // More in one batch than are forgotten at least.
    const count = 1_100;
    for (let n = 0; n < count; n++) script.add('pruned', begin(`k${n}`));
    await flush();
    expect(await retired()).toBe(count + 1);
    expect(await baseOf('k7')).toBe(2);
    const young = await writer.rows(`SELECT "base" FROM ${writer.tables.retiredKeys} WHERE "key_hash" = 'young'`, []);
    expect(young.map((row) => Number(row['base']))).toEqual([4]);
  });

  proof('are kept in rows with expiry, newest progress and runs that were put off', async () => {
    const id = begin('k', { expiresAt: 1_900_000_000_000, delayMs: 5_000, runAt: 1_700_000_006_000 });
    await flush();
    expect((await store.findByIds([id])).get(id)).toMatchObject({ expiresAt: 1_900_000_000_000, retryDelayMs: 5_000 });
    script.add('start', id);
    script.add('progress', id, { payload: { text: "O'Neill ✓ \u0000" } });
    script.add('retry', id, { reason: 'later', runAt: 1_700_000_900_000, delayMs: 1_000, error: { name: 'E', message: 'm' } });
    await flush();
    await expectRows(id);
    expect((await store.findByIds([id])).get(id)).toMatchObject({
      postponements: 1,
      attempt: 1,
      failures: 0,
      progress: expect.any(String),
    });
    script.fail(id);
    script.add('retry', id, { reason: 'manual', runAt: 1_700_000_950_000, delayMs: 0 });
    await flush();
    await expectRows(id);
    const row = (await store.findByIds([id])).get(id)!;
    expect([row.expiresAt, row.progress, row.postponements, row.life]).toEqual([null, undefined, 0, 2]);
  });

  proof('are hashed alike by whoever writes and whoever reads', async () => {
    const id = begin('k');
    script.add('pruned', id);
    await flush();
    const rows = await writer.rows(`SELECT "key_hash" FROM ${writer.tables.retiredKeys}`, []);
    expect(rows.map((row) => row['key_hash'])).toEqual([keyHash(scopedOf('k'))]);
  });
});
