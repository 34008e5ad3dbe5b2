import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { RepositoryOptions } from '../../../lib/config/repository.options.js';
import type { FlushCursor } from '../../../lib/contracts/task-store.interface.js';
import { RepositoryError } from '../../../lib/errors/storage.errors.js';
import { fold } from '../../../lib/domain/fold.js';
import { scopedKey } from '../../../lib/domain/task-key.js';
import type { TaskState } from '../../../lib/domain/task-state.js';
import { SystemClock } from '../../../lib/primitives/system-clock.js';
import { DatabaseConnection } from '../../../lib/repository/database.connection.js';
import { databaseTarget } from '../../../lib/repository/database-target.js';
import { CursorMovedError, FencedWriterError } from '../../../lib/engines/local/storage/flush.errors.js';
import type { SqlSession } from '../../../lib/repository/sql-session.interface.js';
import { TypeOrmProjector } from '../../../lib/engines/local/storage/typeorm-projector.js';
import { TypeOrmTaskStore } from '../../../lib/engines/local/storage/typeorm-task-store.js';
import { EntryScript } from '../../support/database/entry-script.js';
import { DATABASES, ensureFile, type TestDatabase } from '../../support/database/test-databases.js';
import { seededRandom } from '../../support/clock/fake-clock.js';
import { SEED } from '../../support/clock/seed.js';

const newId = (): string => randomUUID();

for (const { name, available, create } of DATABASES) {
  (available ? describe : describe.skip)(`Rows on ${name}`, () => {
    let database: TestDatabase;
    let store: TypeOrmTaskStore;
    let projector: TypeOrmProjector;
    const quarantined: { taskId: string; entries: number; reason: string }[] = [];
    const conflicts: { taskId: string; holder: string }[] = [];

    beforeAll(async () => {
      database = await create();
      const target = databaseTarget(database.options as unknown as RepositoryOptions);
      const ports = { clock: new SystemClock(), ensureFile };
      store = new TypeOrmTaskStore(target, { ...ports, sharesProcessWithLog: true });
      projector = new TypeOrmProjector(new DatabaseConnection(target, 'writer', { ...ports, sharesProcessWithLog: false }), {
        keyConflict: (taskId, holder) => conflicts.push({ taskId, holder }),
        quarantined: (taskId, entries, reason) => quarantined.push({ taskId, entries, reason }),
      });
      // Together: both migrate, under the lock.
      await Promise.all([store.open(), projector.open()]);
    });
    afterAll(async () => {
      await projector?.close();
      await store?.close();
      await database?.drop();
    });

    const flush = async (script: EntryScript, from: FlushCursor | null = null, to?: number): Promise<FlushCursor> =>
      (await projector.apply(script.batch(from, to))).cursor;
    const row = async (id: string): Promise<TaskState | undefined> => (await store.findByIds([id])).get(id);
    const expected = (script: EntryScript, id: string): TaskState | null =>
      script.entries
        .filter((entry) => entry.taskId === id)
        .reduce<TaskState | null>((state, entry) => fold(state, entry, script.logId), null);

    it('holds every member of a task that went through retry, cancel request and completion', async () => {
      const script = new EntryScript();
      const id = newId();
      script.created(id, {
        userId: 'ada',
        key: 'k-1',
        inputHash: 'ff',
        priority: -2,
        tags: ['a', 'b"c'],
        traceparent: '00-1',
        runAt: 1_700_000_500_000,
        type: 'background',
      });
      script.add('start', id);
      script.add('retry', id, {
        reason: 'failed',
        runAt: 1_700_000_900_000,
        delayMs: 1000,
        error: { name: 'E', message: 'm', retryable: true },
      });
      const first = await flush(script);
      expect(await row(id)).toEqual(expected(script, id));
      script.add('start', id, {}, { attempt: 2 });
      script.add('heartbeat', id);
      script.add('cancel', id, { reason: 'no longer "wanted"' });
      script.add('progress', id, { payload: { n: 1 } });
      const second = await flush(script, first);
      expect(await row(id)).toEqual(expected(script, id));
      expect((await row(id))!.cancelRequest).toEqual({ at: expect.any(Number), reason: 'no longer "wanted"' });
      script.add('complete', id, { result: { ok: [1, '\u0000', 'é'] } });
      await flush(script, second);
      expect(await row(id)).toEqual(expected(script, id));
      expect((await row(id))!.result).toBe('{"ok":[1,"\\u0000","é"]}');
    });

    it('keeps the result of a completed task when only a control entry follows', async () => {
      const script = new EntryScript();
      const id = newId();
      script.created(id);
      script.complete(id, 'done');
      const cursor = await flush(script);
      script.add('adopted', id);
      await flush(script, cursor);
      expect(await row(id)).toEqual(expected(script, id));
      expect((await row(id))!.result).toBe('"done"');
    });

    it('equals the fold of the log, whatever the batches', async () => {
      process.stdout.write(`conformance ${name}: TASKFLOW_TEST_SEED=${SEED}\n`);
      const script = randomScript(seededRandom(SEED), 60, 900);
      const random = seededRandom(SEED + 1);
      let cursor: FlushCursor | null = null;
      for (let at = 0; at < script.entries.length;) {
        at = Math.min(script.entries.length, at + 1 + Math.floor(random() * 90));
        cursor = await flush(script, cursor, at);
      }
      const ids = [...new Set(script.entries.map((entry) => entry.taskId as string))];
      const rows = await store.findByIds(ids);
      for (const id of ids) {
        expect(rows.get(id) ?? null).toEqual(expected(script, id));
        const events = await store.entriesAfter(id, 0, 10_000);
        const alive = rows.has(id);
        const written = script.entries.filter((entry) => entry.taskId === id && entry.taskSeq !== undefined);
        expect(events.map((event) => event.taskSeq)).toEqual(alive ? written.map((entry) => entry.taskSeq) : []);
      }
      expect(await store.cursor(script.logId)).toEqual(cursor);
      expect(await store.confirmedCursor(script.logId)).toEqual(cursor);
    });

    it('keeps the input once: in the task, not in its created event', async () => {
      const script = new EntryScript();
      const id = newId();
      script.created(id, { input: { secret: 1 } });
      script.add('start', id);
      await flush(script);
      const [created, start] = await store.entriesAfter(id, 0, 10);
      expect(JSON.parse(created!.body)).toEqual({ name: 'send-email', maxAttempts: 3, timeoutMs: 60_000 });
      expect(start).toEqual({ taskSeq: 2, type: 'start', at: script.entries[1]!.at, attempt: 1, fence: 1, body: '' });
      expect((await row(id))!.input).toBe('{"secret":1}');
    });

    it('pages a history without gap or repetition', async () => {
      const script = new EntryScript();
      const id = newId();
      script.created(id);
      script.add('start', id);
      for (let n = 0; n < 25; n++) script.add('progress', id, { payload: n });
      await flush(script);
      const seqs: number[] = [];
      for (let page = await store.entriesAfter(id, 0, 10); page.length > 0; page = await store.entriesAfter(id, seqs.at(-1)!, 10)) {
        seqs.push(...page.map((entry) => entry.taskSeq!));
      }
      expect(seqs).toEqual(Array.from({ length: 27 }, (_, at) => at + 1));
    });

    it('refuses a batch that does not start where the cursor is, and changes nothing', async () => {
      const script = new EntryScript();
      const id = newId();
      script.created(id);
      const cursor = await flush(script);
      script.add('start', id);
      const again = { ...script.batch(null), entries: script.entries };
      await expect(projector.apply(again)).rejects.toBeInstanceOf(CursorMovedError);
      await expect(projector.apply({ ...script.batch(cursor), from: { ...cursor, appliedCrc: 'ffffffff' } })).rejects.toBeInstanceOf(
        CursorMovedError,
      );
      await expect(projector.apply({ ...script.batch(cursor), from: { ...cursor, gen: 2 } })).rejects.toBeInstanceOf(CursorMovedError);
      expect(projector.isTransient(await projector.apply(again).catch((error: unknown) => error))).toBe(false);
      expect((await row(id))!.status).toBe('created');
      expect(await store.cursor(script.logId)).toEqual(cursor);
    });

    it('ends a writer of an older generation', async () => {
      const script = new EntryScript();
      script.created(newId());
      const newer = (await projector.apply(script.batch(null, 1, 5))).cursor;
      script.created(newId());
      await expect(projector.apply(script.batch(newer, 2, 4))).rejects.toBeInstanceOf(FencedWriterError);
      await expect(projector.apply(script.batch(newer, 2, 6))).resolves.toMatchObject({ cursor: { ownerGen: 6 } });
    });

    it('changes nothing when entries that were applied come again behind a newer cursor', async () => {
      const script = new EntryScript();
      const id = newId();
      script.created(id);
      script.complete(id);
      const cursor = await flush(script);
      const before = await row(id);
      const to = { ...cursor, appliedSeq: cursor.appliedSeq + 1 };
      await projector.apply({ logId: script.logId, entries: script.entries, from: cursor, to });
      expect(await row(id)).toEqual(before);
      expect(await store.entriesAfter(id, 0, 10)).toHaveLength(3);
      expect(await store.deadEntryCount(script.logId)).toBe(0);
    });

    it('sets a task with a hole aside, with all that follows, and applies the others', async () => {
      const script = new EntryScript();
      const [bad, good] = [newId(), newId()];
      script.created(bad);
      script.created(good);
      let cursor = await flush(script);
      script.add('progress', bad, { payload: 'beyond' }, { taskSeq: 9 });
      script.complete(good);
      const applied = await projector.apply(script.batch(cursor));
      expect(applied.quarantined).toBe(1);
      cursor = applied.cursor;
      script.add('progress', bad, { payload: 'later' }, { taskSeq: 10 });
      expect((await projector.apply(script.batch(cursor))).quarantined).toBe(1);
      expect((await row(good))!.status).toBe('completed');
      expect((await row(bad))!.lastSeq).toBe(10);
      expect((await store.entriesAfter(bad, 0, 10)).map((entry) => entry.taskSeq)).toEqual([1, 9, 10]);
      expect((await store.entriesAfter(bad, 9, 10)).map((entry) => entry.body)).toEqual(['{"payload":"later"}']);
      expect(await store.deadEntryCount(script.logId)).toBe(2);
      expect(quarantined.filter((one) => one.taskId === bad)).toHaveLength(2);
    });

    it('finds the entries that the database refuses, task by task', async () => {
      const script = new EntryScript();
      const ids = Array.from({ length: 40 }, () => newId());
      for (const [at, id] of ids.entries()) {
        script.created(id, at % 13 === 5 ? { maxAttempts: undefined } : {}); // a column that must not be null
        if (at % 13 !== 5) script.complete(id);
      }
      const bad = ids.filter((_, at) => at % 13 === 5);
      const applied = await projector.apply(script.batch(null));
      expect(applied.quarantined).toBe(bad.length);
      const rows = await store.findByIds(ids);
      expect(
        [...rows.values()]
          .filter((state) => state.status === 'completed')
          .map((state) => state.id as string)
          .sort(),
      ).toEqual(ids.filter((id) => !bad.includes(id)).sort());
      // Reads count in what the tables refused.
      expect(bad.map((id) => rows.get(id)?.status)).toEqual(bad.map(() => 'created'));
      expect(quarantined.filter((one) => bad.includes(one.taskId))).toHaveLength(bad.length);
    });

    it('deletes a pruned task with its events, also when it came in the same batch', async () => {
      const script = new EntryScript();
      const [old, brief] = [newId(), newId()];
      script.created(old, { key: 'again' });
      script.complete(old);
      const cursor = await flush(script);
      script.add('pruned', old);
      const heir = newId();
      script.created(heir, { key: 'again' });
      script.created(brief, { key: 'brief' });
      script.complete(brief);
      script.add('pruned', brief);
      await flush(script, cursor);
      expect((await store.findByIds([old, brief])).size).toBe(0);
      expect(await store.entriesAfter(old, 0, 10)).toEqual([]);
      expect(await store.entriesAfter(brief, 0, 10)).toEqual([]);
      expect((await store.findByKeys(['n:again'])).get('n:again')!.id).toBe(heir);
    });

    it('finds chosen keys by user, and generated ones by id', async () => {
      const script = new EntryScript();
      const [mine, yours, nobodys, generated] = [newId(), newId(), newId(), newId()];
      script.created(mine, { userId: 'ada', key: 'invoice' });
      script.created(yours, { userId: 'bob', key: 'invoice' });
      script.created(nobodys, { key: 'invoice' });
      script.created(generated, { userId: 'ada' });
      await flush(script);
      const keys = [
        scopedKey(mine as never, 'ada', 'invoice'),
        scopedKey(yours as never, 'bob', 'invoice'),
        'n:invoice',
        generated,
        mine,
        'n:nothing',
      ];
      const found = await store.findByKeys(keys);
      expect(keys.map((key) => found.get(key)?.id)).toEqual([mine, yours, nobodys, generated, undefined, undefined]);
    });

    it('leaves a key with the home that flushed it first, also when its task has ended; within a home an ended task gives it up', async () => {
      const [home, elsewhere] = [new EntryScript(), new EntryScript()];
      const [first, second, third] = [newId(), newId(), newId()];
      home.created(first, { userId: 'eve', key: 'shared' });
      const cursor = await flush(home);
      elsewhere.created(second, { userId: 'eve', key: 'shared' });
      const cursorElsewhere = await flush(elsewhere);
      const key = scopedKey(first as never, 'eve', 'shared');
      expect((await store.findByKeys([key])).get(key)!.id).toBe(first);
      expect(conflicts).toContainEqual({ taskId: second, holder: first });
      expect((await row(second))!.key).toBe('shared');
      home.complete(first);
      const cursorEnded = await flush(home, cursor);
      elsewhere.created(third, { userId: 'eve', key: 'shared' });
      await flush(elsewhere, cursorElsewhere);
      expect((await store.findByKeys([key])).get(key)!.id).toBe(first);
      expect(conflicts).toContainEqual({ taskId: third, holder: first });
      const heir = newId();
      home.created(heir, { userId: 'eve', key: 'shared' });
      await flush(home, cursorEnded);
      expect((await store.findByKeys([key])).get(key)!.id).toBe(heir);
      expect((await row(first))!.status).toBe('completed');
    });

    it('settles a key that two homes flush in the same moment, and sets nothing aside', async () => {
      const other = new TypeOrmProjector(
        new DatabaseConnection(databaseTarget(database.options as unknown as RepositoryOptions), 'writer', {
          clock: new SystemClock(),
          ensureFile,
          sharesProcessWithLog: false,
        }),
        {
          keyConflict: (taskId, holder) => conflicts.push({ taskId, holder }),
          quarantined: (taskId, entries, reason) => quarantined.push({ taskId, entries, reason }),
        },
      );
      await other.open();
      const before = [conflicts.length, quarantined.length];
      for (let round = 0; round < 10; round++) {
        const scripts = [new EntryScript(), new EntryScript()];
        const keys = Array.from({ length: 20 }, (_, at) => `race-${round}-${at}`);
        for (const key of keys) for (const script of scripts) script.created(newId(), { key });
        await Promise.all([projector.apply(scripts[0]!.batch(null)), other.apply(scripts[1]!.batch(null))]);
        expect((await store.findByKeys(keys.map((key) => `n:${key}`))).size).toBe(20);
        const ids = scripts.flatMap((script) => script.entries.map((entry) => entry.taskId as string));
        expect((await store.findByIds(ids)).size).toBe(40);
      }
      await other.close();
      expect([conflicts.length, quarantined.length]).toEqual([before[0]! + 200, before[1]!]);
    });

    it('writes all of a batch or nothing, whichever statement fails, and all of it the next time', async () => {
      let failAt = Number.POSITIVE_INFINITY;
      let statements = 0;
      class FailingConnection extends DatabaseConnection {
        override transaction<T>(work: (session: SqlSession) => Promise<T>): Promise<T> {
          const failing =
            <R>(run: (sql: string, parameters?: readonly unknown[]) => Promise<R>) =>
            (sql: string, parameters?: readonly unknown[]): Promise<R> =>
              ++statements === failAt ? Promise.reject(Object.assign(new Error('injected'), { code: '40001' })) : run(sql, parameters);
          return super.transaction((session) => work({ ...session, rows: failing(session.rows), run: failing(session.run) }));
        }
      }
      const target = databaseTarget(database.options as unknown as RepositoryOptions);
      const failing = new TypeOrmProjector(
        new FailingConnection(target, 'writer', { clock: new SystemClock(), ensureFile, sharesProcessWithLog: false }),
        {
          keyConflict: () => undefined,
          quarantined: () => undefined,
        },
      );
      await failing.open();
      const script = new EntryScript();
      const [pruned, kept, dead] = [newId(), newId(), newId()];
      script.created(pruned, { key: `inherited-${pruned}` });
      script.complete(pruned);
      script.created(dead);
      const cursor = await flush(script);
      script.add('pruned', pruned);
      script.created(kept, { key: `inherited-${pruned}` });
      script.add('progress', dead, {}, { taskSeq: 9 });
      const rowsNow = async (): Promise<unknown> => [
        await store.findByIds([pruned, kept, dead]),
        await store.entriesAfter(pruned, 0, 9),
        await store.deadEntryCount(script.logId),
      ];
      const before = await rowsNow();
      let fired = 0;
      for (failAt = 1; ; failAt++) {
        statements = 0;
        const error = await failing.apply(script.batch(cursor)).then(
          () => null,
          (failure: unknown) => failure,
        );
        if (error === null) break;
        fired++;
        expect(RepositoryError.is(error) && error.message).toContain('40001: injected');
        expect(failing.isTransient(error)).toBe(true);
        expect(await rowsNow()).toEqual(before);
        expect(await store.cursor(script.logId)).toEqual(cursor);
      }
      await failing.close();
      expect(fired).toBeGreaterThan(7); // cursor, dead entries, rows, keys, two deletions, task, event, dead entry, cursor
      expect((await store.findByIds([pruned, kept])).size).toBe(1);
      expect(await store.deadEntryCount(script.logId)).toBe(1);
      expect(await store.cursor(script.logId)).toEqual(script.cursorAt(7));
    });

    it('lists by owner, status, name and tag, newest first, page by page', async () => {
      const script = new EntryScript();
      const user = newId();
      const ids = Array.from({ length: 7 }, () => newId());
      for (const [at, id] of ids.entries())
        script.created(id, { userId: user, name: at % 2 === 0 ? 'even' : 'odd', tags: at < 3 ? ['a,b', 'x"y'] : ['z'] });
      script.complete(ids[0]!);
      await flush(script);
      const listed = async (query: object): Promise<number[]> =>
        (await store.list({ userId: user, limit: 10, ...query })).map((task) => ids.indexOf(task.id));
      expect(await listed({})).toEqual([6, 5, 4, 3, 2, 1, 0]);
      expect(await listed({ status: 'created', name: 'even' })).toEqual([6, 4, 2]);
      expect(await listed({ tag: 'x"y' })).toEqual([2, 1, 0]);
      expect(await listed({ tag: ',' })).toEqual([]);
      expect(await listed({ tag: 'Z' })).toEqual([]);
      const [fourth] = await store.list({ userId: user, limit: 1, after: { at: script.entries[4]!.at, id: ids[4]! } });
      expect(fourth!.id).toBe(ids[3]);
      expect(fourth!.input).toBe(JSON.stringify({ to: ids[3] }));
      expect(await store.list({ userId: null, name: 'even', limit: 10 })).toEqual([]);
    });

    it('ranks dead letters, newest first, and forgets removed and retried ones', async () => {
      const script = new EntryScript();
      const ids = Array.from({ length: 5 }, () => newId());
      for (const id of ids) {
        script.created(id, { name: 'dies' });
        script.fail(id);
      }
      script.add('dlq-removed', ids[1]!);
      script.add('retry', ids[2]!, { reason: 'manual' });
      const since = script.entries[0]!.at;
      await flush(script);
      const dead = await store.list({ deadLetteredSince: since, name: 'dies', limit: 10 });
      expect(dead.map((task) => ids.indexOf(task.id))).toEqual([4, 3, 0]);
      const oldest = dead[2]!;
      const rank = await store.deadLetterRank(since, { at: oldest.deadLetteredAt!, id: oldest.id });
      expect(rank).toBeGreaterThanOrEqual(2);
      expect(await store.countDeadLetters(since, 2)).toBe(2);
      const next = await store.list({
        deadLetteredSince: since,
        name: 'dies',
        limit: 1,
        after: { at: dead[0]!.deadLetteredAt!, id: dead[0]!.id },
      });
      expect(next[0]!.id).toBe(ids[3]);
      expect((await row(ids[2]!))!).toMatchObject({ status: 'created', life: 2, deadLetteredAt: null });
    });

    it('pages unfinished tasks of a home in the order they were created', async () => {
      const script = new EntryScript();
      const ids = Array.from({ length: 9 }, () => newId());
      for (const id of ids) script.created(id);
      for (const id of [ids[2]!, ids[5]!]) script.add('start', id);
      script.complete(ids[7]!);
      await flush(script);
      const home = script.logId;
      const all: number[] = [];
      for (let after: { at: number; id: string } | null = null; ;) {
        const page = await store.unfinished(home, undefined, after, 3);
        for (const task of page) all.push(ids.indexOf(task.id));
        if (page.length < 3) break;
        after = { at: page[2]!.createdAt, id: page[2]!.id };
      }
      expect(all).toEqual([0, 1, 2, 3, 4, 5, 6, 8]);
      expect((await store.unfinished(home, 'running', null, 10)).map((task) => ids.indexOf(task.id))).toEqual([2, 5]);
      expect((await store.unfinished(home, 'created', null, 1))[0]!.input).toBeUndefined();
    });

    it('offers to retention what ended long enough ago, by outcome, oldest first', async () => {
      const script = new EntryScript();
      const [done, dead, live, late] = [newId(), newId(), newId(), newId()];
      for (const id of [done, dead, live, late]) script.created(id);
      script.complete(done);
      script.fail(dead);
      const between = script.entries.at(-1)!.at + 1;
      script.complete(late);
      await flush(script);
      const prunable = async (completedBefore: number, failedBefore: number): Promise<string[]> =>
        (await store.prunable(script.logId, completedBefore, failedBefore, 10)).map((task) => task.id);
      expect(await prunable(between, 0)).toEqual([done]);
      expect(await prunable(between, between)).toEqual([done, dead]);
      expect(await prunable(between + 10_000, 0)).toEqual([done, late]);
      expect(await prunable(0, 0)).toEqual([]);
    });

    it('knows which homes have unfinished tasks, when they were heard of last, and which of their runs went silent', async () => {
      const [mine, abandoned, held] = [new EntryScript(), new EntryScript(), new EntryScript()];
      for (const script of [abandoned, held]) {
        const id = newId();
        script.created(id);
        script.add('start', id);
        await flush(script);
      }
      await store.beat(held.logId, 'owner', 1_000);
      await store.beat(held.logId, 'owner', 2_000);
      const homes = await store.unfinishedElsewhere(mine.logId);
      expect(homes).toContainEqual({ home: abandoned.logId, appliedSeq: 2, unfinished: 1, beatAt: 0 });
      expect(homes).toContainEqual({ home: held.logId, appliedSeq: 2, unfinished: 1, beatAt: 2_000 });
      expect((await store.unfinishedElsewhere(held.logId)).map((one) => one.home)).not.toContain(held.logId);
      expect(await store.isKnown(held.logId)).toBe(true);
      expect(await store.isKnown(mine.logId)).toBe(false);
      const stale = await store.staleElsewhere(mine.logId, abandoned.entries[1]!.at + 1, 100);
      expect(stale).toContainEqual({ id: abandoned.entries[0]!.taskId, home: abandoned.logId, lastSeenAt: abandoned.entries[1]!.at });
      expect(stale.some((one) => one.home === mine.logId)).toBe(false);
    });

    it('is healthy', async () => {
      expect(store.isOpen).toBe(true);
      expect(await store.healthCheck()).toBe(true);
    });
  });
}

/** Lives of many tasks, interleaved: only what the gate would let through. */
function randomScript(random: () => number, tasks: number, steps: number): EntryScript {
  const script = new EntryScript();
  const ids = Array.from({ length: tasks }, () => newId());
  const states = new Map<string, TaskState | null>();
  const pick = <T>(from: readonly T[]): T => from[Math.floor(random() * from.length)]!;
  const add = (type: Parameters<EntryScript['add']>[0], id: string, data: Record<string, unknown> = {}): void => {
    states.set(id, fold(states.get(id) ?? null, script.add(type, id, data), script.logId));
  };
  for (let step = 0; step < steps; step++) {
    const id = pick(ids);
    const state = states.get(id);
    if (state === null) continue; // pruned
    if (state === undefined)
      states.set(id, fold(null, script.created(id, random() < 0.5 ? { key: `key-${id}`, userId: 'ada' } : {}), script.logId));
    else if (state.status === 'created') add(random() < 0.1 ? 'cancelled' : 'start', id);
    else if (state.status === 'running') {
      const type = pick(['progress', 'custom', 'heartbeat', 'cancel', 'retry', 'recovered', 'complete', 'error', 'cancelled'] as const);
      const data: Record<string, Record<string, unknown>> = {
        progress: { payload: step },
        custom: { eventName: 'note', payload: { step } },
        retry: { reason: pick(['failed', 'shutdown']), runAt: step, delayMs: step },
        recovered: { recoveries: 1 },
        complete: random() < 0.3 ? {} : { result: { step } },
        error: { error: { name: 'Error', message: `at ${step}`, retryable: true } },
      };
      add(type, id, data[type] ?? {});
    } else if (state.status === 'failed' && random() < 0.5) add(pick(['retry', 'dlq-removed'] as const), id, { reason: 'manual' });
    else add(pick(['pruned', 'heartbeat', 'adopted'] as const), id);
  }
  return script;
}
